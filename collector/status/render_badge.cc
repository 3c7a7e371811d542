#include "collector/status/render_badge.h"

#include "collector/status/html_style.h"
#include "collector/status/render_feed.h"
#include "common/base/strings.h"

#include <fmt/format.h>

namespace tocsin::collector::status {

namespace {

constexpr std::size_t kLabelBytesMax = 40;

/// About the width of this text at 11 px in the fonts named below; textLength makes it exact.
int width_of(std::string_view text) {
  int tenths = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0U) == 0x80U) continue;  // Not the first byte of a character.
    const bool narrow = std::string_view{"iljtfr.,:;!|'I()[] "}.find(c) != std::string_view::npos;
    const bool wide = byte >= 0x80 || std::string_view{"mwMW@%"}.find(c) != std::string_view::npos;
    tenths += narrow ? 42 : wide ? 105 : 70;
  }
  return tenths / 10 + 1;
}

}  // namespace

std::string render_badge(const PageView& page) {
  const std::string shown = printable(page.title, kLabelBytesMax);
  const std::string message = label(page.state);
  const std::string title = xml_text(shown);
  const int left = width_of(shown) + 12;
  const int right = width_of(message) + 12;
  constexpr const char* kText =
      "<text x=\"{}\" y=\"14\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>";
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"20\" "
             "viewBox=\"0 0 {0} 20\" role=\"img\" aria-label=\"{1}: {2}\">\n"
             "<title>{1}: {2}</title>\n"
             "<rect width=\"{0}\" height=\"20\" rx=\"3\" fill=\"{5}\"/>\n"
             "<path d=\"M3 0h{6}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z\" fill=\"#434b58\"/>\n",
             left + right, title, message, left, right, badge_colour(page.state), left - 3) +
         "<g fill=\"#fff\" font-family=\"Verdana,'DejaVu Sans',sans-serif\" font-size=\"11\">" +
         fmt::format(kText, 6, left - 12, title) +
         fmt::format(kText, left + 6, right - 12, message) + "</g>\n</svg>\n";
}

}  // namespace tocsin::collector::status

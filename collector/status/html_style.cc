#include "collector/status/html_style.h"

namespace tocsin::collector::status {

const std::string_view kStyle =
    ":root{color-scheme:light dark;"
    "--bg:#f5f7fa;--surface:#fff;--text:#14181f;--text2:#434b58;--muted:#5d6675;--border:#d5dbe3;"
    "--accent:#2f54b8;--focus:#1b3fae;--up:#239a79;--degraded:#ba7501;--down:#aa0d19;--maint:#"
    "3658bf;"
    "--unknown:#545557;--paused:#7d8797;--up-t:#07694f;--degraded-t:#7a4b00;--down-t:#8f0a15;"
    "--maint-t:#2b489f;--unknown-t:#3f4248;--paused-t:#4b515b}"
    "@media(prefers-color-scheme:dark){:root{"
    "--bg:#0e1217;--surface:#171c23;--text:#e9ecf1;--text2:#b7bfcb;--muted:#8f99a8;"
    "--border:#2b323c;--accent:#8ea6ff;--focus:#a9bbff;--up:#6ccbaf;--degraded:#fdb73c;--down:#"
    "e0604f;"
    "--maint:#6885f0;--unknown:#72767f;--paused:#6a7482;--up-t:#7fd6ba;--degraded-t:#ffc766;"
    "--down-t:#ff9d90;--maint-t:#a3b5ff;--unknown-t:#c3c8d0;--paused-t:#aab2be}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--text);font:14px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;overflow-wrap:anywhere;"
    "font-variant-numeric:tabular-nums}"
    ".page{max-width:760px;margin:0 auto;padding:16px}"
    "h1{font-size:20px;line-height:1.3;margin:0}h2{font-size:16px;margin:32px 0 8px}"
    "h3,h4{font-size:14px;margin:0;min-width:0}p{margin:0}a{color:var(--accent)}"
    "header{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:baseline;"
    "gap:4px 24px;padding:16px 0}"
    "header p{flex-basis:100%;color:var(--text2);max-width:72ch}"
    "nav ul{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:0;padding:0}"
    ".sym{position:absolute}"
    ".head>svg,.banner>svg,.legend "
    "svg{width:16px;height:16px;fill:currentColor;flex:none;margin-top:2.5px}"
    ".up>svg,.up>.head>svg{color:var(--up)}.degraded>svg,.degraded>.head>svg{color:var(--degraded)}"
    ".down>svg,.down>.head>svg{color:var(--down)}.maint>svg,.maint>.head>svg{color:var(--maint)}"
    ".unknown>svg,.unknown>.head>svg{color:var(--unknown)}.paused>svg,.paused>.head>svg{color:var(-"
    "-paused)}"
    ".banner{display:flex;gap:12px;align-items:flex-start;border:1px solid var(--border);"
    "border-left:6px solid;border-radius:6px;padding:16px;background:var(--surface)}"
    ".banner b{font-size:20px;line-height:1.3}.banner>svg{width:24px;height:24px;margin-top:1px}"
    ".banner p,.sub{color:var(--text2)}"
    ".banner.up{border-left-color:var(--up)}.banner.degraded{border-left-color:var(--degraded)}"
    ".banner.down{border-left-color:var(--down)}.banner.maint{border-left-color:var(--maint)}"
    ".banner.unknown{border-left-color:var(--unknown)}.banner.paused{border-left-color:var(--"
    "paused)}"
    ".until,.small{color:var(--muted);font-size:13px}.until{margin-top:8px}"
    ".card{background:var(--surface);border:1px solid var(--border);border-radius:6px;margin:12px "
    "0}"
    ".row{padding:12px 16px;border-top:1px solid var(--border)}.row:first-child{border-top:0}"
    ".head{display:flex;gap:8px;align-items:flex-start}.head>span{margin-left:auto;flex:none;"
    "padding-left:8px}"
    ".up>.head>span{color:var(--up-t)}.degraded>.head>span{color:var(--degraded-t);font-weight:600}"
    ".down>.head>span{color:var(--down-t);font-weight:600}.maint>.head>span{color:var(--maint-t)}"
    ".unknown>.head>span{color:var(--unknown-t)}.paused>.head>span{color:var(--paused-t)}"
    ".group>.head>span{color:var(--text2);font-weight:400}"
    ".body{margin-left:24px}"
    ".bars{overflow:hidden;direction:rtl;height:30px;margin:8px 0 2px}"
    ".bars svg{display:block;width:100%;height:30px;fill:none;stroke-dasharray:.7 "
    ".3;stroke-width:10}"
    ".bars .u{stroke:var(--up);stroke-width:5}.bars .d{stroke:var(--down)}"
    ".bars .g{stroke:var(--degraded)}.bars .n{stroke:var(--unknown);stroke-width:2}"
    ".axis{display:flex;justify-content:space-between;gap:0 16px;color:var(--muted);font-size:12px}"
    ".axis .phone{display:none}.axis b{font-weight:400;color:var(--text2);text-align:center}"
    "details{color:var(--text2);font-size:13px;margin-top:4px}summary{cursor:pointer;padding:2px 0}"
    ".body>details ul{margin:4px 0;padding-left:20px}"
    ".updates{list-style:none;margin:8px 0 0;padding:0 0 0 14px;border-left:2px solid "
    "var(--border)}"
    ".updates li+li{margin-top:12px}.updates p{max-width:72ch}.updates p+p{margin-top:6px}"
    ".day{display:flex;gap:2px 16px;padding:10px 16px;border-top:1px solid var(--border)}"
    ".day:first-child{border-top:0}.day>h3{flex:none;width:96px;font-weight:400;color:var(--text2)}"
    ".day>div{flex:1;min-width:0}.day article+article{margin-top:12px}"
    "footer{color:var(--muted);font-size:13px;padding:24px 0 16px}footer p{margin:8px "
    "0;max-width:80ch}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:8px 0;padding:0}"
    ".legend li{display:flex;gap:6px}"
    ".old{visibility:hidden;animation:old 0s linear 300s "
    "forwards;font-weight:600;color:var(--text2)}"
    "@keyframes old{to{visibility:visible}}"
    ":focus-visible{outline:2px solid var(--focus);outline-offset:2px}"
    "@media(max-width:520px){.bars svg.long{width:200%}.axis .phone{display:inline}"
    ".axis .wide{display:none}.axis{flex-wrap:wrap}.axis b{order:3;flex-basis:100%;text-align:left}"
    ".day:not(.quiet){flex-direction:column}.body{margin-left:0}.head>span{padding-left:4px}}"
    "@media print{.old{display:none}.card{break-inside:avoid}}";

const std::string_view kSymbols =
    "<svg class=\"sym\" width=\"0\" height=\"0\" aria-hidden=\"true\">"
    "<symbol id=\"i-up\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\"/>"
    "<path d=\"M4.6 8.3l2.3 2.3 4.6-5\" fill=\"none\" stroke=\"var(--surface)\" "
    "stroke-width=\"1.9\"/></symbol>"
    "<symbol id=\"i-degraded\" viewBox=\"0 0 16 16\"><path d=\"M8 .9l7.6 13.7H.4z\"/>"
    "<path d=\"M8 5.6v4.2M8 11.4v1.6\" stroke=\"var(--surface)\" stroke-width=\"1.8\"/></symbol>"
    "<symbol id=\"i-down\" viewBox=\"0 0 16 16\">"
    "<path d=\"M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z\"/>"
    "<path d=\"M5 5l6 6M11 5l-6 6\" stroke=\"var(--surface)\" stroke-width=\"2\"/></symbol>"
    "<symbol id=\"i-unknown\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"6.6\" "
    "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.6\" stroke-dasharray=\"2.6 1.9\"/>"
    "<path d=\"M6 6.3a2 2 0 1 1 2.6 1.9c-.5.2-.6.5-.6 1.1M8 11v1.3\" fill=\"none\" "
    "stroke=\"currentColor\" stroke-width=\"1.5\"/></symbol>"
    "<symbol id=\"i-maint\" viewBox=\"0 0 16 16\"><path d=\"M8 .4L15.6 8 8 15.6.4 8z\"/>"
    "<path d=\"M5 8h6\" stroke=\"var(--surface)\" stroke-width=\"2\"/></symbol>"
    "<symbol id=\"i-paused\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"6.8\" "
    "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>"
    "<path d=\"M6.2 5v6M9.8 5v6\" stroke=\"currentColor\" stroke-width=\"1.7\"/></symbol></svg>";

const char* look_of(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "up";
    case PublicState::kPaused:
      return "paused";
    case PublicState::kMaintenance:
      return "maint";
    case PublicState::kNoData:
      return "unknown";
    case PublicState::kDegraded:
      return "degraded";
    case PublicState::kPartialOutage:
    case PublicState::kMajorOutage:
      return "down";
  }
  return "unknown";
}

const char* favicon_path(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "%3Ccircle cx='8' cy='8' r='7' fill='%23239a79'/%3E";
    case PublicState::kDegraded:
      return "%3Cpath d='M8 .9l7.6 13.7H.4z' fill='%23ba7501'/%3E";
    case PublicState::kPartialOutage:
    case PublicState::kMajorOutage:
      return "%3Cpath d='M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z' fill='%23aa0d19'/%3E";
    case PublicState::kMaintenance:
      return "%3Cpath d='M8 .4L15.6 8 8 15.6.4 8z' fill='%233658bf'/%3E";
    case PublicState::kNoData:
    case PublicState::kPaused:
      return "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%23545557' stroke-width='2' "
             "stroke-dasharray='2.6 1.9'/%3E";
  }
  return "";
}

const char* badge_colour(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "#07694f";
    case PublicState::kDegraded:
      return "#7a4b00";
    case PublicState::kPartialOutage:
    case PublicState::kMajorOutage:
      return "#8f0a15";
    case PublicState::kMaintenance:
      return "#2b489f";
    case PublicState::kNoData:
    case PublicState::kPaused:
      return "#3f4248";
  }
  return "";
}

}  // namespace tocsin::collector::status

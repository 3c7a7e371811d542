#pragma once
// Question answered here: which colours, shapes and sizes do published pages have?

#include "collector/status/words.h"

#include <string_view>

namespace tocsin::collector::status {

/// The one style sheet. Colours: the text tokens have a contrast of 5:1 or more on every surface,
/// the fills 3:1, and the states stay apart in the common colour deficiencies. Colour is never the
/// only sign: every state has a shape and a word, and in a row of bars the alarm is the tall thing.
extern const std::string_view kStyle;

/// Shapes on 16 x 16, in one colour; they work at 12 px.
extern const std::string_view kSymbols;

/// Which shape and colour stand for the state: "up", "down" ...
const char* look_of(PublicState state);

/// The shape in the colour of the state, as a piece of an SVG inside a data URL: a tab tells the
/// state too.
const char* favicon_path(PublicState state);

/// A background for white text, 5:1 or more.
const char* badge_colour(PublicState state);

}  // namespace tocsin::collector::status

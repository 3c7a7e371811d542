#pragma once
// Question answered here: does the order in which results arrive show in the history at rest
// (INV-6)?
//
// Takes half an hour of what one world stored, with its outages, glitches, missed runs and blind
// agents, and tells it to two engines that never stop: to one as soon as each result was due, to
// the other after delays of up to the lateness of DEC-7, so that results overtake each other
// between and within regions. When everything has arrived and every vote has had its time, both
// must tell the same history. Pages are not compared: who hears late pages late.

#include "tests/sim/world.h"

namespace tocsin::sim {

/// Violations go to the world; the world's own chance and trace are not touched.
void check_order(World& world);

}  // namespace tocsin::sim

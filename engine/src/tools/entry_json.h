// Journal entries as JSON for people and scripts: one object, enumerators by name, integers as
// JSON integers of up to 64 bits.
//
//   {"sequence":9,"timestamp_ns":1,"actor":"","command":{"kind":"new_order",…},"events":[{…},…]}
#pragma once

#include <string>
#include <string_view>

#include "core/schema/command.h"
#include "core/schema/event.h"

namespace openvenue::tools {

void append_entry_json(const core::Command& command, const core::EventBuffer& events,
                       std::string& out);

// The text in quotes, escaped.
void append_json_string(std::string_view text, std::string& out);

}  // namespace openvenue::tools

// Sets up the process's log: lines on stderr, as text or as one JSON object each.
#pragma once

#include <string>

namespace openvenue {

// Preconditions: level is one of trace, debug, info, warn, error; format is text or json.
void set_up_logging(const std::string& level, const std::string& format);

}  // namespace openvenue

// CHECK(condition, "what must hold") ends the process, with file, line and sentence, if continuing
// would build on a broken invariant. It stays on in release builds. Do not use it for bad input,
// which gets an answer.
#pragma once

namespace openvenue::core {

[[noreturn]] void check_failed(const char* file, int line, const char* what);

}  // namespace openvenue::core

#define CHECK(condition, what)                       \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::openvenue::core::check_failed(__FILE__, __LINE__, what))

#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace openvenue::core {

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: %s. This is a bug: keep the journal, it reproduces it.\n", file,
               line, what);
  std::abort();
}

}  // namespace openvenue::core

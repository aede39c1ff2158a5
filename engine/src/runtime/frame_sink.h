// Where frames become durable. The one in the product is the journal; the seam lets tests hold a
// sync back or make it fail.
#pragma once

#include <utility>

#include "journal/writer.h"

namespace openvenue::runtime {

// Throws journal::JournalError, after which nothing may be called but the destructor.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void write(journal::Frame& frame) = 0;
  virtual void sync() = 0;
  virtual void close() = 0;
};

class JournalSink final : public FrameSink {
 public:
  explicit JournalSink(journal::Writer writer) : writer_(std::move(writer)) {}
  void write(journal::Frame& frame) override { writer_.write(frame); }
  void sync() override { writer_.sync(); }
  void close() override { writer_.close(); }

 private:
  journal::Writer writer_;
};

}  // namespace openvenue::runtime

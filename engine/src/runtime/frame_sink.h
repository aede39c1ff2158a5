// Makes frames durable. The product uses the journal; tests use this interface to hold a sync back
// or make it fail.
#pragma once

#include <utility>

#include "journal/writer.h"
#include "runtime/metrics.h"

namespace openvenue::runtime {

// Throws journal::JournalError; after that only the destructor may be called.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void write(journal::Frame& frame) = 0;
  virtual void sync() = 0;
  virtual void mark_end() = 0;
};

class JournalSink final : public FrameSink {
 public:
  // `metrics` must outlive the sink.
  JournalSink(journal::Writer writer, Metrics& metrics)
      : writer_(std::move(writer)), metrics_(metrics) {}
  void write(journal::Frame& frame) override;
  void sync() override;
  void mark_end() override { writer_.mark_end(); }

 private:
  void report_preparation();

  journal::Writer writer_;
  Metrics& metrics_;
  journal::SegmentPipeline::Statistics reported_;
};

}  // namespace openvenue::runtime

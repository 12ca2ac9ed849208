#include "async.h"

#include <torch/types.h>
#include <unistd.h>

#include <cstdlib>

#include "memory.h"

namespace dece {

namespace {

// Of the process, all environments together.
std::atomic<int> jobs_running{0};
std::atomic<bool> leaving{false};

}  // namespace

void leave_running_jobs_alone() {
#ifdef __GLIBC__  // elsewhere no handler is told the exit status
  const auto at_exit = [](int status, void*) {
    leaving = true;
    if (jobs_running > 0) ::_exit(status);
  };
  ::on_exit(at_exit, nullptr);
#endif
}

Napi::Function Stop::define(Napi::Env env) {
  return DefineClass(env, "Stop", {InstanceMethod<&Stop::set>("set")});
}

std::shared_ptr<std::atomic<bool>> Stop::flag_of(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  if (!value.IsObject() ||
      !value.As<Napi::Object>().InstanceOf(Addon::of(value.Env()).stop.Value())) {
    throw Napi::TypeError::New(value.Env(), "stop: expected a Stop");
  }
  return Stop::Unwrap(value.As<Napi::Object>())->flag_;
}

std::string message_of(const std::exception_ptr& error) {
  std::string text;
  try {
    std::rethrow_exception(error);
  } catch (const c10::Error& known) {
    text = known.what_without_backtrace();
    if (const auto memory = out_of_memory(text); !memory.empty()) text = memory;
  } catch (const std::bad_alloc&) {
    text = "not enough memory";
  } catch (const std::exception& known) {
    text = known.what();
  } catch (...) {
    text = "unknown error in native code";
  }
  return text.substr(0, text.find('\n'));
}

Worker::Worker(Napi::Env env) : channel_(Channel::New(env, "dece", 0, 1, this)) {
  // An idle channel must not keep the process alive.
  channel_.Unref(env);
}

void Worker::push(Napi::Env env, std::unique_ptr<Job> job) {
  if (pending_++ == 0) channel_.Ref(env);
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
}

void Worker::loop() {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_.load() || !jobs_.empty(); });
      if (closing_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    jobs_running++;
    if (leaving) {  // with statics being destroyed nothing may begin
      job.release();
      return;
    }
    job->work();
    // Tensors that the job holds are freed here, not on the JavaScript thread.
    job->work = nullptr;
    jobs_running--;
    if (channel_.BlockingCall(job.get()) == napi_ok) job.release();
  }
}

void Worker::settle(Napi::Env env, Napi::Function, Worker* worker, Job* job) {
  const std::unique_ptr<Job> owned(job);
  // Without an environment there is nobody left to tell.
  if (napi_env(env) == nullptr) return;
  if (--worker->pending_ == 0) worker->channel_.Unref(env);
  job->settle(env);
}

void Worker::close() {
  {
    const std::lock_guard lock(mutex_);
    if (closing_.exchange(true)) return;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  jobs_.clear();
  channel_.Release();
}

}  // namespace dece

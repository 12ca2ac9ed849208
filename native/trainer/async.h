// One worker thread for each Node environment that loads the addon, with a queue of jobs.
//
// Not libuv's pool: OpenMP keeps a team of threads for every thread that calls it, so that four
// callers would mean four teams. One thread also means that jobs on one model never meet.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace dece {

// What a job throws when it was asked to stop. JavaScript sees an error whose code is "STOPPED".
struct Stopped : std::exception {
  const char* what() const noexcept override { return "the work was stopped"; }
};

// Whether a job was asked to stop: by JavaScript, or because the environment ends.
class StopFlag {
 public:
  StopFlag(std::shared_ptr<std::atomic<bool>> asked, const std::atomic<bool>& closing)
      : asked_(std::move(asked)), closing_(&closing) {}
  bool stopped() const { return closing_->load() || (asked_ && asked_->load()); }
  void check() const {
    if (stopped()) throw Stopped();
  }

 private:
  std::shared_ptr<std::atomic<bool>> asked_;
  const std::atomic<bool>* closing_;
};

// `new Stop()` in JavaScript, handed to a native call; `stop.set()` from any later moment.
class Stop : public Napi::ObjectWrap<Stop> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Stop(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Stop>(info) {}
  // The flag inside a Stop; null where `value` is undefined.
  static std::shared_ptr<std::atomic<bool>> flag_of(const Napi::Value& value);

 private:
  void set(const Napi::CallbackInfo&) { flag_->store(true); }
  std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

// The first line of what went wrong, without libtorch's backtrace. To be called in a catch block.
std::string message_of(const std::exception_ptr& error);

// What work gives; what it throws is thrown as a JavaScript error.
template <typename Work>
auto throwing(Napi::Env env, const Work& work) {
  try {
    return work();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error::New(env, message_of(std::current_exception()));
  }
}

class Worker {
 public:
  struct Job {
    std::function<void()> work;             // on the worker thread; throws nothing
    std::function<void(Napi::Env)> settle;  // on the JavaScript thread
  };

  explicit Worker(Napi::Env env);
  ~Worker() { close(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void push(Napi::Env env, std::unique_ptr<Job> job);
  const std::atomic<bool>& closing() const { return closing_; }
  // Asks every job to stop, waits for the one that runs, drops the others.
  void close();

 private:
  static void settle(Napi::Env env, Napi::Function, Worker* worker, Job* job);
  using Channel = Napi::TypedThreadSafeFunction<Worker, Job, &Worker::settle>;

  void loop();

  Channel channel_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;
  std::atomic<bool> closing_{false};
  size_t pending_ = 0;  // JavaScript thread only: unsettled jobs keep the event loop alive
};

// To be called when the process is about to exit. process.exit() waits for nobody, and a job that
// still runs would lose what libtorch keeps in statics: then the process ends without their
// destruction.
void leave_running_jobs_alone();

// What belongs to one environment: main thread and worker_threads each have their own.
struct Addon {
  explicit Addon(Napi::Env env) : worker(env) {}
  Worker worker;
  Napi::FunctionReference stop;   // class Stop
  Napi::FunctionReference model;  // class ModelHandle

  static Addon& of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
};

// Runs `work(const StopFlag&)` on the worker thread, after the jobs before it, and settles the
// promise with `to_js(env, result&)`. `work` must not touch JavaScript and owns what it needs
// (capture shared pointers and tensors by value). `stop` is a Stop or undefined.
template <typename Work, typename ToJs>
Napi::Promise run(Napi::Env env, const Napi::Value& stop, Work work, ToJs to_js) {
  using Result = decltype(work(std::declval<const StopFlag&>()));
  struct State {
    std::optional<Result> result;
    std::string error;
    bool stopped = false;
  };
  Worker& worker = Addon::of(env).worker;
  auto state = std::make_shared<State>();
  const StopFlag flag(Stop::flag_of(stop), worker.closing());
  const auto deferred = Napi::Promise::Deferred::New(env);

  auto job = std::make_unique<Worker::Job>();
  job->work = [state, flag, work = std::move(work)]() mutable {
    try {
      flag.check();
      state->result.emplace(work(flag));
    } catch (const Stopped&) {
      state->stopped = true;
      state->error = Stopped().what();
    } catch (...) {
      state->error = message_of(std::current_exception());
    }
  };
  job->settle = [state, deferred, to_js = std::move(to_js)](Napi::Env env) mutable {
    if (state->result) {
      try {
        deferred.Resolve(to_js(env, *state->result));
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
      }
      return;
    }
    const auto error = Napi::Error::New(env, state->error);
    if (state->stopped) error.Value().Set("code", Napi::String::New(env, "STOPPED"));
    deferred.Reject(error.Value());
  };
  worker.push(env, std::move(job));
  return deferred.Promise();
}

}  // namespace dece

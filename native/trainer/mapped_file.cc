#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

namespace dece {

namespace {

// A file descriptor that closes itself.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

// So that a new name itself survives a power cut. Not every file system can do it.
void sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor file{::open(directory.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number >= 0) ::fsync(file.number);
}

// Of a file that is being written: another thread may write to the same path.
std::string unique_ending() {
  static std::atomic<uint64_t> count = 0;
  return "." + std::to_string(::getpid()) + "." + std::to_string(count++) + ".tmp";
}

// The files that are mapped, for the handler of a signal, which may lock nothing. Those beyond so
// many go without the sentence.
std::array<std::atomic<const MappedFile*>, 256> watched;

void say(std::string_view text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

// Says which file the address lies in.
void say_file_at(uintptr_t address) {
  for (const auto& entry : watched) {
    const auto* file = entry.load();
    if (!file || address - reinterpret_cast<uintptr_t>(file->data()) >= file->size()) continue;
    say("dece: ");
    say(file->path());
    say(" became shorter, or its disk failed, while it was read as memory: the process ends");
    if (file->writable()) say("; Model.load with mmap: false copies weights");
    say("\n");
    return;
  }
}

// Of a page that cannot be read: says which file it is of, then lets the signal do what it does.
void on_bus_error(int, siginfo_t* info, void*) {
  static std::atomic_flag begun;
  // Another thread that reads the same file would end the process amid the sentence.
  while (begun.test_and_set()) ::pause();
  const bool was_sent = info->si_code <= 0;
  if (!was_sent) say_file_at(reinterpret_cast<uintptr_t>(info->si_addr));
  ::signal(SIGBUS, SIG_DFL);
  if (was_sent) ::raise(SIGBUS);  // it does not come again by itself
}

void watch(const MappedFile* file) {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction now {};
    // A program that has a handler of its own keeps it.
    if (::sigaction(SIGBUS, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) ||
        now.sa_handler != SIG_DFL) {
      return;
    }
    now.sa_sigaction = on_bus_error;
    now.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &now, nullptr);
  });
  for (auto& entry : watched) {
    const MappedFile* none = nullptr;
    if (entry.compare_exchange_strong(none, file)) return;
  }
}

void unwatch(const MappedFile* file) {
  for (auto& entry : watched) {
    const auto* found = file;
    entry.compare_exchange_strong(found, nullptr);
  }
}

}  // namespace

std::runtime_error system_error(const std::string& what, const std::string& path) {
  return std::runtime_error(what + " " + path + ": " + std::strerror(errno));
}

MappedFile::MappedFile(const std::string& path, bool writable) : path_(path), writable_(writable) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) throw system_error("cannot open", path);
  struct stat status {};
  if (::fstat(file.number, &status) != 0) throw system_error("cannot read", path);
  if (!S_ISREG(status.st_mode)) throw std::runtime_error(path + " is not a file");
  size_ = uint64_t(status.st_size);
  if (size_ == 0) return;
  // No room is set aside for pages that are not written to.
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* mapped = ::mmap(nullptr, size_, protection, MAP_PRIVATE | MAP_NORESERVE, file.number, 0);
  if (mapped == MAP_FAILED) throw system_error("cannot map", path);
  data_ = static_cast<const char*>(mapped);
  watch(this);
}

MappedFile::~MappedFile() {
  if (!data_) return;
  unwatch(this);
  ::munmap(const_cast<char*>(data_), size_);
}

void MappedFile::forget(const char* data, uint64_t size) const {
  const uint64_t page = uint64_t(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = uint64_t(data - data_) / page * page;
  const uint64_t end = std::min(size_, uint64_t(data - data_) + size);
  if (begin < end) ::madvise(const_cast<char*>(data_ + begin), end - begin, MADV_DONTNEED);
}

NewFile::NewFile(const std::string& path) : path_(path), temporary_(path + unique_ending()) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw system_error("cannot write", path_);
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

NewFile::~NewFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void NewFile::write(const void* data, uint64_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor_, bytes, std::min<uint64_t>(size, 1 << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw system_error("cannot write", path_);
    bytes += written;
    size -= uint64_t(written);
  }
}

void NewFile::close() {
  // Some file systems report a full disk only when a file is flushed or closed.
  if (::fsync(descriptor_) != 0 || ::close(std::exchange(descriptor_, -1)) != 0) {
    throw system_error("cannot write", path_);
  }
}

void NewFile::commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error("cannot replace", path_);
  temporary_.clear();
  sync_directory_of(path_);
}

}  // namespace dece

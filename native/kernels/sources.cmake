# The CPU side of the kernels for a CMake build: include() this beside the target that compiles
# KERNEL_SOURCES. The flags are those of binding.gyp.
set(KERNEL_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/dece_loss.cc
  ${CMAKE_CURRENT_LIST_DIR}/plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/team.cc
  ${CMAKE_CURRENT_LIST_DIR}/rows_portable.cc)
set(KERNEL_FLAGS -O3 -ffp-contract=fast)
set_source_files_properties(${KERNEL_SOURCES} PROPERTIES COMPILE_OPTIONS "${KERNEL_FLAGS}")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/rows_avx2.cc PROPERTIES
    COMPILE_OPTIONS "${KERNEL_FLAGS};-mavx2;-mfma;-mf16c")
  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/rows_avx512.cc PROPERTIES
    COMPILE_OPTIONS "${KERNEL_FLAGS};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma")
  list(APPEND KERNEL_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/rows_avx2.cc ${CMAKE_CURRENT_LIST_DIR}/rows_avx512.cc)
endif()

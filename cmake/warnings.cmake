# Warnings for our own targets only; dependencies are SYSTEM includes.
add_library(tocsin_warnings INTERFACE)
target_compile_options(
  tocsin_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wswitch-enum
            -Wvla
            -Wdate-time
            -Wno-missing-field-initializers # Option structs with defaults are initialized in part on purpose.
            -Werror)
if(TOCSIN_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # The sanitizers' own branches make gcc 12 see uninitialized members of std::optional and
  # tl::expected that are never read (GCC bug 80635 and its kin). The plain build still looks.
  target_compile_options(tocsin_warnings INTERFACE -Wno-maybe-uninitialized)
endif()

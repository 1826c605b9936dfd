# Cross build for AArch64 with Debian's compiler, against what .install/aarch64-root has fetched.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)

set(root ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-root)
cmake_path(NORMAL_PATH root)
set(libraries ${root}/usr/lib/aarch64-linux-gnu)
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})

# hwloc and jemalloc need libraries of their own, which nobody names: the linker looks for them here.
set(search " -L${libraries} -Wl,-rpath-link,${libraries}:${root}/lib/aarch64-linux-gnu")
string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT ${search})
string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT ${search})
string(APPEND CMAKE_C_FLAGS_INIT " -isystem ${root}/usr/include -isystem ${root}/usr/include/aarch64-linux-gnu")

set(WEFT_TEST_LAUNCHER qemu-aarch64 -L /usr/aarch64-linux-gnu
    -E LD_LIBRARY_PATH=${libraries}:${root}/lib/aarch64-linux-gnu CACHE STRING "")

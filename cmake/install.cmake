# `cmake --install`, find_package(kelvin) and pkg-config for consumers outside the tree, static or shared.
if(NOT KELVIN_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)

# Before 1.0 each minor version may change the ABI.
set_target_properties(kelvin PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

install(TARGETS kelvin EXPORT kelvinTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/kelvin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET kelvin_command)  # src/cli installs it; beside a shared kelvin it looks where that is
  set_target_properties(kelvin_command PROPERTIES INSTALL_RPATH "\$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()

# What a static kelvin needs at link time; a shared one brings it along.
get_target_property(_kelvin_type kelvin TYPE)
set(KELVIN_NEEDS_URING OFF)
set(KELVIN_NEEDS_BLKID OFF)
set(KELVIN_NEEDS_MEMKIND OFF)
set(_requires "")
set(KELVIN_PC_LIBS "-pthread")
if(_kelvin_type STREQUAL "STATIC_LIBRARY" AND KELVIN_HAVE_URING)
  set(KELVIN_NEEDS_URING ON)
  list(APPEND _requires "liburing >= 2.3")
endif()
if(_kelvin_type STREQUAL "STATIC_LIBRARY" AND KELVIN_HAVE_BLKID)
  set(KELVIN_NEEDS_BLKID ON)
  list(APPEND _requires "blkid")
endif()
if(_kelvin_type STREQUAL "STATIC_LIBRARY" AND KELVIN_HAVE_MEMKIND)
  set(KELVIN_NEEDS_MEMKIND ON)
  # Not required by name: memkind's own file asks for what a static memkind needs, and many systems have none.
  string(APPEND KELVIN_PC_LIBS " -lmemkind")
endif()
list(JOIN _requires ", " KELVIN_PC_REQUIRES)

set(_kelvin_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/kelvin)
install(EXPORT kelvinTargets NAMESPACE kelvin:: DESTINATION ${_kelvin_cmake})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kelvinConfig.cmake.in
  ${PROJECT_BINARY_DIR}/kelvinConfig.cmake INSTALL_DESTINATION ${_kelvin_cmake}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kelvinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kelvinConfig.cmake ${PROJECT_BINARY_DIR}/kelvinConfigVersion.cmake
  DESTINATION ${_kelvin_cmake})

# The .pc file names its prefix relative to itself, so that the installed tree can be moved.
set(_pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR _absolute)
if(_absolute)
  set(KELVIN_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(KELVIN_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
  set(KELVIN_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH _up /prefix/${_pc_folder} /prefix)
  string(REGEX REPLACE "/$" "" _up "${_up}")
  set(KELVIN_PC_PREFIX "\${pcfiledir}/${_up}")
  set(KELVIN_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(KELVIN_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/kelvin.pc.in ${PROJECT_BINARY_DIR}/kelvin.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kelvin.pc DESTINATION ${_pc_folder})

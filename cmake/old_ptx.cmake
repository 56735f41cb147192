# cmake -DPTX=FILE -DTO=FILE -P old_ptx.cmake: the same PTX, marked as version 7.0, the first that knows sm_80.
file(READ ${PTX} _text)
string(REGEX REPLACE "\n\\.version [0-9.]+\n" "\n.version 7.0\n" _text "${_text}")
file(WRITE ${TO} "${_text}")

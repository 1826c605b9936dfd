/* base.c - what weft/base.h promises and no other file holds. errno is in platform/local.c. */
#include <weft/base.h>

#include <string.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *weft_strerror(int err)
{
    const char *text = err <= 0 && err > -4096 ? strerrordesc_np(-err) : NULL;
    return text ? text : "Unknown error";
}

const char *weft_version(void)
{
    return TEXT(WEFT_VERSION_MAJOR) "." TEXT(WEFT_VERSION_MINOR) "." TEXT(WEFT_VERSION_PATCH);
}

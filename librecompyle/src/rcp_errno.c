#include "rcp_errno.h"

const char *rcp_strerror(int error)
{
    switch (error) {
    case RCP_OK: return "ok";
#define XX(name, number, text) case RCP_##name: return text;
    RCP_ERRNO_MAP(XX)
#undef XX
    default: return "unknown error";
    }
}

const char *rcp_err_name(int error)
{
    switch (error) {
    case RCP_OK: return "OK";
#define XX(name, number, text) case RCP_##name: return #name;
    RCP_ERRNO_MAP(XX)
#undef XX
    default: return "UNKNOWN";
    }
}

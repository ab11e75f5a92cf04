/* All of librecompyle. */
#ifndef RECOMPYLE_H
#define RECOMPYLE_H

#include "rcp_base.h"
#include "rcp_clock.h"
#include "rcp_errno.h"
#include "rcp_gate.h"
#include "rcp_hist.h"
#include "rcp_json.h"
#include "rcp_linemap.h"
#include "rcp_sink.h"
#include "rcp_sites.h"
#include "rcp_stack.h"
#include "rcp_tally.h"

#endif

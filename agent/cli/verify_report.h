/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_report - what verify found, as text for people and as JSON.
 *
 * Pure. Names of files, and whatever else somebody chose, are shown escaped.
 */
#ifndef TALLYMAN_VERIFY_REPORT_H
#define TALLYMAN_VERIFY_REPORT_H

#include "agent/cli/verify_range.h"

struct verify_report {
    const struct verify *v;
    const struct verify_range *range;
    const struct product *product; /* PRODUCT_UNKNOWN where it is not known */
    const char *target;            /* index pattern, alias or stream */
    size_t show;                   /* most missing events to name */
    bool grouped;                  /* 1,234,567 */
};

void verify_report_text(const struct verify_report *r, struct buf *out);
/* One object, one line. */
void verify_report_json(const struct verify_report *r, struct buf *out);

#endif

"""List one's courses with canvasapi; one a line: id, state, name, enrolments."""

import sys

from canvasapi import Canvas

origin, token = sys.argv[1:3]
for c in Canvas(origin, token).get_courses():
    if getattr(c, "access_restricted_by_date", False):
        print(c.id, "restricted")
        continue
    kinds = ",".join(e["type"] + ":" + e["enrollment_state"] for e in c.enrollments)
    print(c.id, c.workflow_state, c.name, kinds, sep="\t")

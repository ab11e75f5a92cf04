"""The process that measures one question with one tool.

    worker.py CASE TOOL QUESTION CPU

Writes one line of JSON when ready (`{"ready": version}` or `{"unsupported": reason}`), then one line for each
line it reads: the readings of one round. Between rounds it sleeps, so that workers can share a processor.
"""

import gc
import importlib
import json
import os
import sys

import tools


def main() -> None:
    case_name, tool_name, question, cpu = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a tool prints must not get between the answers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu)})
    case = importlib.import_module(f"cases.{case_name}")
    tool = tools.TOOLS[tool_name]()
    try:
        play_round = case.prepare(tool, question)
    except Exception as error:
        # Ours may say what it does not know here; a rival may refuse with whatever it likes.
        if tool.HOME == "ours" and not isinstance(error, NotImplementedError):
            raise
        print(json.dumps({"unsupported": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    gc.collect()
    gc.disable()  # a collection would fall into one tool's round and not into another's
    print(json.dumps({"ready": tool.version()}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(play_round()), file=answers, flush=True)


if __name__ == "__main__":
    main()

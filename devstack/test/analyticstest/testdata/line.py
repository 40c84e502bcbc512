"""Runs statements on the ClickHouse of the chdb package in sys.path.

Standard input is a JSON list of statements, standard output a JSON list of
[text, error], one each; the folder of the data is the argument.
"""

import json
import os
import sys
from unittest import mock

statements = json.load(sys.stdin)
answers = os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
os.dup2(null, 0)  # an INSERT would read it
os.dup2(null, 1)

# Older packages import it for a format that is not asked for here.
sys.modules.setdefault("pyarrow", mock.MagicMock())

from chdb import session  # noqa: E402

engine = session.Session(sys.argv[1])
out = []
for statement in statements:
    try:
        answer = engine.query(statement, "TabSeparatedRaw")
        out.append([answer.bytes().decode() if answer is not None else "", ""])
    except Exception as e:  # what the engine says is for the test to judge
        out.append(["", str(e)])
json.dump(out, answers)
answers.flush()
os._exit(0)  # the engine can hang at an orderly exit

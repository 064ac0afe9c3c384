"""Translates scripts to the requests of the older generation of clients (up to 5.5).

Invariant: a translated script has the same meaning; requests that older clients cannot send are left out.
"""


def translate(script):
    """The script as an older client would send it."""
    derived, views = set(), set()
    translated = []
    for step in script:
        step = {key: dict(body) if isinstance(body, dict) else body for key, body in step.items()}
        entity = step.get("entityId")
        # That engine had no live tables from views: a client created one from the view's Arrow export.
        if step.get("makeTableReq", {}).get("data", {}).get("fromView"):
            derived.add(entity)
            continue
        join = step.get("makeJoinTableReq")
        if join and {join["leftTableId"], join["rightTableId"]} & derived:
            derived.add(entity)
            continue
        if entity in derived or entity in views:
            if "tableMakeViewReq" in step:
                views.add(step["tableMakeViewReq"]["viewId"])
            continue
        _translate(step)
        translated.append(step)
    return translated


def _translate(step):
    if "tableDescribeReq" in step:
        config = step.pop("tableDescribeReq").get("config", {})
        step["tableValidateExprReq"] = {"columnToExpr": config.get("expressions", {})}
    for body in step.values():
        if not isinstance(body, dict):
            continue
        if body.get("viewport", {}).get("machineColumnNames"):
            body["viewport"] = body["viewport"] | {"machineColumnNames": False}
        if "config" in body:
            body["config"] = _config(body["config"])


def _config(config):
    config = dict(config)
    if "aggregates" in config:
        config["aggregates"] = {name: _aggregate(words) for name, words in config["aggregates"].items()}
    if "windows" in config:
        config["windows"] = {name: _window(spec) for name, spec in config["windows"].items()}
    return config


def _aggregate(words):
    given = words["aggregations"]
    # Its predecessor, `sum not null`, loses the sign of integers.
    return {"aggregations": ["sum"]} if given[:1] == ["sum or zero"] else words


def _window(spec):
    return spec | {"op": "count"} if spec.get("op") == "row_number" else spec

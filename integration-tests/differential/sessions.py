"""Random scripts about connections that end: their views and subscriptions end, their tables are kept.

Invariant: a view is deleted by the connection that opened it, if at all; otherwise the reference engine crashes.
"""

import script
import tables


class Sessions(tables.Tables):
    def __init__(self, seed):
        super().__init__(seed)
        self.owners = {}

    def open_by(self, session):
        """A view of one connection, to which either or both subscribe."""
        self.num_views += 1
        name = f"v{self.num_views}"
        columns = self.rng.sample(list(script.KINDS), 3)
        config = {"columns": {"columns": {"columns": columns}}}
        self.views[name], self.owners[name] = config, session
        self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}} | by(session))
        for what in ("viewOnUpdateReq", "viewOnRemoveReq", "viewOnDeleteReq"):
            for listener in (0, 1):
                if self.rng.random() < 0.5:
                    body = {"mode": "ROW"} if what == "viewOnUpdateReq" and self.rng.random() < 0.7 else {}
                    self.push({"entityId": name, what: body} | by(listener))

    def open_one(self):
        self.open_by(self.rng.choice([0, 1, 1]))

    def close_one(self):
        if self.views:
            name = self.rng.choice(list(self.views))
            self.views.pop(name)
            self.push({"entityId": name, "viewDeleteReq": {}} | by(self.owners[name]))

    def hang_up(self):
        """Closes the second connection and opens another."""
        gone = [name for name in self.views if self.owners[name] == 1]
        self.push({"close": 1, "gone": gone})
        for name in gone:
            self.views.pop(name)
        for name in gone[:2]:
            self.push({"entityId": name, "viewDimensionsReq": {}})
            self.push({"entityId": name, "viewOnUpdateReq": {}})
        if gone and self.rng.random() < 0.5:
            # Its name is free again.
            name = self.rng.choice(gone)
            self.views[name], self.owners[name] = {"columns": {"columns": {"columns": ["i", "s"]}}}, 0
            self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": self.views[name]}})
            self.push({"entityId": name, "viewOnUpdateReq": {"mode": "ROW"}} | by(self.rng.choice([0, 1])))
        self.push({"entityId": "", "getHostedTablesReq": {}} | by(1))

    def table_of_the_second(self):
        """A table outlives the connection that made it."""
        if any(step.get("entityId") == "u" and "makeTableReq" in step for step in self.steps):
            self.push({"entityId": "u", "tableUpdateReq": {"data": {"fromRows": '[{"x":2}]'}}})
        else:
            self.push({"entityId": "u", "makeTableReq": {"data": {"fromRows": '[{"x":1}]'}}} | by(1))
            self.push({"entityId": "u", "tableOnDeleteReq": {}} | by(self.rng.choice([0, 1])))
        self.push({"entityId": "u", "tableSizeReq": {}})

    def write(self, num_steps):
        self.hosted()
        self.make_table()
        self.open_by(0)
        self.open_by(1)
        acts = [self.shared] * 4 + [self.open_one] * 3 + [self.hang_up] * 3 + [self.close_one, self.hosted]
        acts += [self.table_of_the_second] + ([self.remove_rows] if self.index is not None else [])
        for _ in range(num_steps):
            self.rng.choice(acts)()
        return self.steps


def by(session):
    return {"session": session} if session else {}


def write(seed, num_steps=12):
    return Sessions(seed).write(num_steps)

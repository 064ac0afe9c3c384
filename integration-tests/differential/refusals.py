"""Random malformed expressions: brackets, tokens, names, types, arguments, literals; exact text, line and column.

Invariant: each expression is a valid one with one modification. The reference engine's errors for literals and
conditions in place of numbers, and which of several unknown columns it names, may differ for columns called `broken`
(compare.py, differences.md). (The request of the older protocol gives the same errors.)
"""

import expressions
import script

MARKS = list("()[]{},;:+-*/%^<>=&|~?!.#@$\\_`") + [":=", "+=", "<=", "==", "!=", "<>", "<=>", "//", "/*", "*/", "\n", "  ", "''"]
WORDS = ["foo", "x", "null", "true", "and", "or", "if", "var", "while", "for", "switch", "case", "default"]
WORDS += ["break", "continue", "return", "repeat", "in", "like", "swap", "pi", "inf", "sum", "upper", "bucket", "mand", "today()"]
LITERALS = ["1e", "1.2.3", "1e400", "1e-400", "0x10", "1_000", "2x", "'é'", "\"nobody\"", "1e+", "..", "5.", ".5", "$f01", "''"]
WHOLE = [
    "", " ", "\n", "// nothing", "# nothing", "/* nothing */", "/* open", "// a\n", "'", "\"", "\"\"", "()", "{}", "[]", ";", "1;;2", ";1",
    "var", "var x", "var x :=", "var 1 := 2", "var pi := 3", "var x := 1; var x := 2", "x := 1", "1 := 2", "pi := 3", "var if := 1",
    "const var x := \"i\"", "var v[0]", "var v[-1]", "var v[2] := {1,2,3}; 1", "var v[2] := {1,2}; v[2]", "var v[2]; v[", "var v[2] :=", "var v[\"i\"]; 1",
    "if", "if(", "if(true)", "if(true) 1 else 2", "if(true) 1; else", "if(true, 1)", "if(true, 1, 2, 3)", "if(true) {1}", "if(true) {1} \"i\"",
    "while(true) {1}", "while(1 < 2)", "while(\"i\" > 1) 1", "for(;;) {1}", "for(var j := 0; j < 3; j += 1) 1", "for(var j := 0; true; j += 1) {j}",
    "switch {}", "switch {default: 1;}", "switch {case true: 1}", "switch {case true: 1;}", "switch {case true 1; default: 2;}", "[*] {}", "[*] {default: 1;}",
    "break", "continue", "return 1", "repeat 1 until true", "~{", "~(", "~{1; 2", "1 ? 2", "1 ? 2 :", "1 ? : 2", "? 1 : 2",
    "swap(1, 2)", "swap(\"i\")", "upper", "upper(", "upper()", "upper(1)", "upper('a', 'b')", "concat()", "length()", "length(\"i\")", "bucket(\"d\")",
    "bucket(\"d\", 'q')", "bucket(\"i\", 'D')", "bucket(\"s\", 'D')", "match(\"s\")", "match(\"s\", 1)", "match(\"s\", '(')", "match(\"s\", \"t\")",
    "replace(\"s\", 'a')", "substring(\"s\")", "order(\"s\")", "vlookup('s')", "col()", "col('nobody')", "index(1)", "date(1)",
    "date(2020, 1)", "datetime('a')", "hour_of_day(\"i\")", "day_of_week(\"s\")", "is_null()", "is_null(1, 2)", "coalesce()", "integer()",
    "float(1, 2)", "min()", "max()", "sum()", "avg()", "clamp(1, 2)", "inrange(1, 2)", "pow(1)", "sqrt()", "sqrt(1, 2)", "percent_of(1)", "norm3(1)",
    "\"s\" + 1", "\"s\" == 1", "\"d\" > \"m\"", "\"b\" == 1", "true + \"s\"", "-\"s\"", "not", "not(", "not()", "\"i\" and", "and \"i\"", "\"i\" \"f\"", "1 2", "'a' 'b'",
    "1 +", "* 1", "1 */ 2", "1 + * 2", "(1", "1)", "((1)", "(1))", "(1]", "[1)", "{1)", "1 + (2 * [3 - {4)})", "i", "foo(1)", "foo.bar", "sum(1, 2", "sum(1 2)", "sum(,)", "sum(1,)",
    "1 in 2", "\"s\" like 'a'", "\"s\"[1:2]", "1 << 2", "1 && 2", "!true", "null", "null + 1", "if(null, 1, null)", "true == 1", "1 < 2 < 3",
    "var x := 1;\nvar y := 2;\nx + z", "1 +\n2 +\n", "1 +\n  foo +\n3", "\n\n  \"i\" + \"nobody\"", "// c\n1 +", "\"f\" +\n (\"i\" > \"s\")", "(1; 2)", "{1; 2}", 
    "mand(\"b\", true)", "mor(\"i\", 2)", "true & 's'", "\"s\" | 1", "\"d\" % 2", "\"m\" ^ 2", "\"d\" and \"m\"", "equal(\"i\", \"s\")", "inrange(0, \"s\", 1)", "root(8, -1)",
]


class Refusals(script.Script):
    def broken(self, writer):
        rng = self.rng
        choice = rng.random()
        if choice < 0.35:
            text = rng.choice(WHOLE)
            return text if rng.random() < 0.7 else f"{rng.choice(WHOLE)} {rng.choice(['+', ';', ',', '*'])} {text}"
        text = writer.any(rng.choice([1, 1, 2]))
        for _ in range(rng.choice([1, 1, 2])):
            at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
            text = rng.choice(
                [
                    lambda: text[:at] + rng.choice(MARKS) + text[at:],
                    lambda: text[:at] + " " + rng.choice(WORDS) + " " + text[at:],
                    lambda: text[:at] + " " + rng.choice(LITERALS) + " " + text[at:],
                    lambda: text[:at] + text[at + 1 :],
                    lambda: text[: at + 1] + text[min(to, at + 6) :],
                    lambda: text.replace(rng.choice(["(", ")", ","]), rng.choice(MARKS), 1),
                    lambda: text.replace('"i"', rng.choice(['"s"', '"d"', "foo", "null", '"b"'])),
                    lambda: f"{rng.choice(['upper', 'bucket', 'concat', 'foo', 'date', 'length', 'not'])}({text})",
                    lambda: f"{text} {rng.choice(['+', '==', 'and', '<', '?', ';', '^'])} {rng.choice(WHOLE)}",
                    lambda: text.replace(" ", "\n", 1),
                ]
            )()
        return text

    def write(self, num_steps):
        names = list(script.KINDS)
        # Without rows, since the contents of the first one would decide.
        types = [{"name": name, "type": script.KINDS[name].upper()} for name in names]
        self.push({"entityId": "t", "makeTableReq": {"data": {"fromSchema": {"schema": types}}, "options": {}}})
        writer = expressions.Writer(self.rng)
        for step in range(num_steps * 2):
            # One by one: the reference engine may crash on an expression.
            texts = {f"broken{step}": self.broken(writer)}
            self.push({"entityId": "t", "tableDescribeReq": {"config": {"columns": {"columns": {"columns": []}}, "expressions": texts}}})
        return self.steps


def write(seed, num_steps=12):
    return Refusals(seed).write(num_steps)

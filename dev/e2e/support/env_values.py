"""Values that one reader or another of env files would trip over: a table of known traps, and random ones besides."""

import random

TRAPS = {
    "DOLLARS": "$HOME ${HOME} $$ \\$ $ {$} ${X:-y} ${UNCLOSED",
    "QUOTES": "\"double\" 'single' `back` \"",
    "BACKSLASHES": "\\ \\\\ \\n \\t \\x41 \\\" \\' \\$ \\u0041 \\101",
    "LAST_BACKSLASH": "ends with \\",
    "ONLY_BACKSLASH": "\\",
    "ONLY_QUOTE": '"',
    "ONLY_DOLLAR": "$",
    "LINES": "first\nsecond\n\nfourth\n",
    "LINE_FIRST": "\nbegins with a line break",
    "BACKSLASH_BEFORE_LINE": "joined?\\\nno",
    "ASSIGNMENT_INSIDE": 'a\nOTHER="b"\nexport THIRD=c\n',
    "HASH": "#no comment # at all",
    "HASH_ON_A_LINE": "a\n# b\n; c",
    "SEMICOLON": "; a;b",
    "BLANKS": "  leading and trailing\t ",
    "ONLY_BLANK": " ",
    "TAB": "\ta\tb",
    "EQUALS": "=a=b==",
    "UNICODE": "Nguyễn Thị Hương, نور الحداد, Dvořák 🩺 \u200b\u2028\u00a0\u0085",
    "PERCENT": "%h %% %i {{.Env}} @{x} !history",
    "EMPTY": "",
    "BASE64": "q83vEjRWeJA=+/==",
    "LONG": "long $ " * 3000,
}
ALPHABET = "\"\\$#;='`{}()%!&|<>*?~ \t\nanrtx0é☃🩺"


def random_values(seed, count=150):
    """Words of the alphabet that readers quarrel about; the same for the same seed."""
    chance = random.Random(seed)
    return {
        f"RANDOM_{number}": "".join(chance.choices(ALPHABET, k=chance.randint(0, 24))) for number in range(count)
    }

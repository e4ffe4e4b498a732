"""`systemd-analyze verify` on the unit, with its programs and user pointed at what is here."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def main() -> int:
    unit = (TOP / "systemd" / "noether-scheduler.service").read_text(encoding="utf-8")
    unit = unit.replace("/opt/noether/bin/noether-scheduler", "/bin/true")
    unit = re.sub(r"^(User|Group)=noether$", r"\1=daemon", unit, flags=re.MULTILINE)
    unit = unit.replace("Group=daemon", "Group=nogroup")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noether-scheduler.service"
        path.write_text(unit, encoding="utf-8")
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    said = checked.stdout + checked.stderr
    ours = [line for line in said.splitlines() if "noether-scheduler" in line]
    print(said, end="")
    if checked.returncode or ours:
        print("the unit does not verify", file=sys.stderr)
        return 1
    print("the unit verifies")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

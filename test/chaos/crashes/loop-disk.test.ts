/**
 * A power cut must reach no disk but our own. The tests replace the dangerous call by a print.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { isInstalled } from "../../support/machine.ts"
import { shutdown } from "./loop-disk.ts"

/** The guard as it is, without the call. */
const guard = shutdown.replace(/^ioctl\(.*$/m, "print \"cut\";\n")

const runGuard = (point: string, image: string) => {
  const { status, stderr, stdout } = spawnSync("perl", ["-e", guard, point, image], { encoding: "utf8", cwd: "/" })
  return { isCut: stdout.includes("cut"), status, stderr }
}

describe("the guard of the power cut", () => {
  it("the guard contains the one call that this test removes", () => {
    assert.isFalse(guard.includes("ioctl("))
    assert.isTrue(guard.includes("print \"cut\""))
  })

  it("the guard never reaches the call if no disk of ours is mounted at the path", ({ skip }) => {
    skip(!isInstalled("perl"), "there is no perl on this machine")
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-guard-"))
    const image = Path.join(directory, "disk.img")
    fs.writeFileSync(image, "")
    for (const point of [directory, "/", "/proc", "/dev", "/dev/shm", Path.join(directory, "nothing"), ""]) {
      const { isCut, status, stderr } = runGuard(point, image)
      assert.isFalse(isCut, point)
      assert.notStrictEqual(status, 0)
      assert.match(stderr, /is on the device of|is on no loop device|cannot open/)
    }
    fs.rmSync(directory, { recursive: true })
  })
})

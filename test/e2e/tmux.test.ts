/**
 * The recipe of the documents for a try in three panes of tmux, typed as it is written there, and then a kill -9 in the
 * middle.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"
import { expect } from "vitest"
import { it, linesOf, type Room, until } from "../support/room.ts"

const run = promisify(execFile)

it("the tmux recipe works, and its follower goes on after a kill -9", { timeout: 90_000 }, async ({ room, skip }) => {
  const version = await run("tmux", ["-V"]).catch(() => undefined)
  skip(version === undefined, "there is no tmux on this machine")
  room.makeRepository()
  const tmux = tmuxOf(room)
  try {
    await tmux("-f", "/dev/null", "new-session", "-d", "-s", "ds", "-x", "400", "-y", "50")
    await tmux("split-window", "-h", "-t", "ds")
    await tmux("split-window", "-v", "-t", "ds:0.1")
    await tmux("send-keys", "-t", "ds:0.0", "npx tsx src/durable-streams/main.ts server run", "Enter")
    await tmux(
      "send-keys",
      "-t",
      "ds:0.1",
      "sleep 1 && npx tsx src/durable-streams/main.ts stream subscribe -n test --offset -1",
      "Enter"
    )
    await tmux("send-keys", "-t", "ds:0.2", "sleep 2", "Enter")
    const append = (what: string) =>
      tmux("send-keys", "-t", "ds:0.2", `npx tsx src/durable-streams/main.ts stream append -n test ${what}`, "Enter")
    const follower = async () => (await tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "ds:0.1")).stdout
    const events = async () =>
      linesOf(await follower()).filter((line) => line.startsWith("{")).map((line) =>
        /^\{"offset":"0*(\d)","eventStreamId":"test","data":(.*),"createdAt":"[^"]+"\}/.exec(line)?.slice(1) ?? line
      )
    const shows = (count: number) =>
      until(async () => (await events()).length >= count, () => `${count} events`, 30_000)

    await append("-m \"first message\"")
    await append("-m \"second message\"")
    await append("-e '{\"type\":\"custom\",\"payload\":123}'")
    await shows(3)
    const three = [
      ["0", "{\"type\":\"message\",\"text\":\"first message\"}"],
      ["1", "{\"type\":\"message\",\"text\":\"second message\"}"],
      ["2", "{\"type\":\"custom\",\"payload\":123}"]
    ]
    expect(await events()).toEqual(three)

    process.kill(room.pid, "SIGKILL")
    await until(async () => (await follower()).includes("Lost the server"), () => "the follower to notice")
    await tmux("send-keys", "-t", "ds:0.0", "npx tsx src/durable-streams/main.ts server run", "Enter")
    await append("-m \"fourth message\"")
    await shows(4)
    expect(await events()).toEqual([...three, ["3", "{\"type\":\"message\",\"text\":\"fourth message\"}"]])
    expect(await follower()).toContain("Back again, going on at offset 0000000000000003.")
  } finally {
    await tmux("kill-server").catch(() => {})
  }
})

/** A tmux of the room's own, whose shells ignore this machine's configuration. */
const tmuxOf = (room: Room) => {
  fs.writeFileSync(Path.join(room.directory, "shell"), "#!/bin/sh\nPS1='$ ' exec sh\n", { mode: 0o755 })
  return (...args: ReadonlyArray<string>) =>
    run("tmux", ["-S", Path.join(room.directory, "tmux"), ...args], {
      cwd: room.directory,
      env: { ...room.environment, SHELL: Path.join(room.directory, "shell"), TERM: "xterm-256color", TMUX: "" }
    })
}

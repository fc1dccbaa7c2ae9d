/**
 * The daemon over time: restarts, kills, followers that go on, and the files that it leaves on the disk.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { dataOf, it, linesOf, offsetsOf, type Room, until } from "../support/room.ts"

const append = (room: Room, text: string) => room.ds(["stream", "append", "-n", "a", "-e", text])

/** Appends without the cost of a process. */
const post = async (room: Room, data: unknown) => {
  const response = await fetch(`${room.url}/streams/a`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ data })
  })
  expect(response.status).toBe(201)
}

/** A restart that asks for no port. */
const noPort = { env: { DURABLE_STREAMS_PORT: undefined } }

describe("a follower outlives its server", () => {
  it("Promise 4: over a restart, which keeps the port, it goes on after the last event it printed", async ({ room }) => {
    await room.ds(["server", "start", "--port", "0"])
    await append(room, "0")
    const port = room.read("daemon.port")
    const follower = room.start(["stream", "subscribe", "-n", "a", "--offset", "-1"])
    await follower.line(1)
    const { pid } = room
    const restarted = await room.ds(["server", "restart"], noPort)
    expect(restarted).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^Restarted: /) })
    expect(room.read("daemon.port")).toBe(port)
    expect(room.pid).not.toBe(pid)
    expect(room.servers()).toEqual([room.pid])
    await post(room, 1)
    await follower.line(2)
    follower.kill("SIGINT")
    const { code, stderr, stdout } = await follower.ended
    expect(dataOf(linesOf(stdout))).toEqual([0, 1])
    expect(linesOf(stderr)).toEqual([
      "Lost the server; waiting for it to come back.",
      "Back again, going on at offset 0000000000000001.",
      "Next offset: 0000000000000002"
    ])
    expect(code).toBe(130)
  })

  it("a restart changes what it is asked to change, and nothing else", async ({ room }) => {
    const flags = [
      "--storage",
      "memory",
      "--max-body",
      "5000",
      "--max-streams",
      "7",
      "--cors-origin",
      "https://a.example",
      "--cors-origin",
      "*"
    ]
    await room.ds(["server", "start", "--port", "0", ...flags, "--long-poll-timeout", "500ms"])
    const status = async () => {
      const { stdout } = await room.ds(["server", "status", "--json"])
      return JSON.parse(stdout) as Record<string, unknown>
    }
    const { host, port } = await status()
    const kept = {
      host,
      port,
      bodyBytesMax: 5000,
      longPollMillis: 500,
      limits: expect.objectContaining({ streamsMax: 7, producersMax: 10_000 })
    }
    await room.ds(["server", "restart"], noPort)
    expect(await status()).toMatchObject({ ...kept, storage: "memory", corsOrigins: ["https://a.example", "*"] })
    await room.ds(
      ["server", "restart", "--storage", "fs", "--durability", "os", "--cors-origin", "https://b.example"],
      noPort
    )
    expect(await status()).toMatchObject({
      ...kept,
      storage: "fs",
      durability: "os",
      corsOrigins: ["https://b.example"]
    })
  })

  it("Promise 4: over five kills, each followed by a command that starts the server again, nothing is missing or twice", async ({ room }) => {
    await append(room, "0")
    const follower = room.start(["stream", "get", "-f", "-n", "a"])
    await follower.line(1)
    for (let round = 0; round < 5; round++) {
      const at = 1 + round * 10
      for (let i = 0; i < 9; i++) await post(room, at + i)
      process.kill(room.pid, "SIGKILL")
      const { code, stderr } = await append(room, String(at + 9))
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^Started a server at .*\n$/) })
      await follower.line(at + 10)
    }
    const { lines } = follower
    expect(offsetsOf(lines)).toEqual(Array.from({ length: 51 }, (_, i) => i))
    expect(dataOf(lines)).toEqual(Array.from({ length: 51 }, (_, i) => i))
    expect(linesOf(follower.stderr).filter((line) => line.startsWith("Lost"))).toHaveLength(5)
  })

  it("before its first event, too, and whatever port the next server has", async ({ room }) => {
    const server = room.start(["server", "run", "--port", "0", "--log-level", "debug"])
    await server.told("Listening")
    const follower = room.start(["stream", "subscribe", "-n", "a"])
    await server.told("target=/streams/a status=200")
    await room.ds(["server", "stop"])
    await follower.told("Lost the server")
    await room.ds(["server", "start", "--port", "0"])
    // Appended while the follower may not be back yet: it says its place when it goes on, and misses nothing.
    await post(room, "first")
    expect(dataOf(await follower.line(1))).toEqual(["first"])
    expect(follower.stderr).toContain("Back again, going on at offset 0000000000000000.")
  })

  it("until its stream is deleted: then it ends with code 3", async ({ room }) => {
    await append(room, "0")
    const follower = room.start(["stream", "subscribe", "-n", "a", "--offset", "-1"])
    await follower.line(1)
    expect(await room.ds(["stream", "delete", "-n", "a"])).toMatchObject({ code: 0, stderr: "Deleted a\n" })
    expect(await follower.ended).toMatchObject({ code: 3, stderr: "The stream \"a\" was deleted.\n" })
  })
})

describe("a command outlives the server it found", () => {
  it(
    "Promise 9: commands given while the server stops start the next one and are all answered",
    { timeout: 60_000 },
    async ({ room }) => {
      const count = 6
      for (let round = 0; round < 2; round++) {
        await room.ds(["server", "start"])
        const stopped = room.ds(["server", "stop"])
        const all = await Promise.all(Array.from({ length: count }, (_, i) => append(room, String(round * count + i))))
        expect(all.filter(({ code }) => code !== 0)).toEqual([])
        expect((await stopped).code).toBe(0)
      }
      const lines = linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout)
      expect(offsetsOf(lines)).toEqual(Array.from({ length: 2 * count }, (_, i) => i))
      expect(dataOf(lines).toSorted((a, b) => Number(a) - Number(b))).toEqual(offsetsOf(lines))
    }
  )

  it("lines that come before and after a kill are all appended", async ({ room }) => {
    const command = room.start(["stream", "append", "-n", "a", "-i", "json"], { input: "open" })
    for (let i = 0; i < 3; i++) {
      command.write(`${i}\n`)
      await command.line(i + 1)
      const { pid, url } = room
      process.kill(pid, "SIGKILL")
      // Lines that are sent while a server dies may be lost or stored, and no client can know: this is about later
      // lines.
      await gone(pid, url)
    }
    command.endInput()
    expect((await command.ended).code).toBe(0)
    expect(offsetsOf(command.lines)).toEqual([0, 1, 2])
    expect(dataOf(linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout))).toEqual([0, 1, 2])
  })
})

/** Waits until no server answers for that process; another one may have its port by then. */
const gone = (pid: number, url: string) =>
  until(
    () =>
      fetch(`${url}/health`).then(async (answer) => (await answer.json() as { pid: number }).pid !== pid, () => true),
    () => "the server's end"
  )

describe("a server that has the port of one that was killed", () => {
  it("is not taken for it: a command or a follower goes on with the server of its own data directory", async ({ room }) => {
    // A port that no other server takes when it is free.
    await room.ds(["server", "start", "--port", "0"])
    const command = room.start(["stream", "append", "-n", "a", "-i", "json"], { input: "open" })
    command.write("0\n")
    await command.line(1)
    const follower = room.start(["stream", "subscribe", "-n", "a", "--offset", "-1"])
    await follower.line(1)
    const { pid, url } = room
    process.kill(pid, "SIGKILL")
    await gone(pid, url)
    const other = room.start(["server", "run", "--port", new URL(url).port, "--data-dir", "other"])
    await other.told("Listening")
    command.write("1\n")
    command.endInput()
    expect((await command.ended).code).toBe(0)
    expect(offsetsOf(command.lines)).toEqual([0, 1])
    await follower.line(2)
    expect(dataOf(follower.lines)).toEqual([0, 1])
    follower.kill("SIGINT")
    await follower.ended
    expect(await (await fetch(`${url}/streams`)).json()).toEqual({ streams: [] })
    for (const [directory, status] of [[Path.join(room.directory, "other"), 404], [room.dataDirectory, 421]] as const) {
      const headers = { "durable-streams-directory": encodeURIComponent(fs.realpathSync(directory)) }
      const answer = await fetch(`${url}/streams/a/events`, { headers })
      expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"])
    }
    other.kill("SIGTERM")
    await other.ended
  })
})

describe("a server ends in order", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it(`on ${signal}, within two seconds, with followers, and every acknowledged event is kept`, async ({ room }) => {
      const server = room.start(["server", "run"])
      await server.told("Listening")
      const followers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${room.url}/streams/a`)))
      const appends = Array.from({ length: 20 }, (_, i) => post(room, i).then(() => true, () => false))
      const from = Date.now()
      server.kill(signal)
      expect(await server.ended).toMatchObject({ code: 0, stdout: "" })
      expect(Date.now() - from).toBeLessThan(2500)
      await Promise.all(followers.map((follower) => follower.text()))
      const kept = dataOf(linesOf((await room.ds(["stream", "get", "-n", "a"])).stdout))
      const acknowledged = (await Promise.all(appends)).flatMap((answered, i) => answered ? [i] : [])
      expect(kept).toEqual(expect.arrayContaining(acknowledged))
    })
  }
})

describe("a daemon", () => {
  it("Promise 12: leaves files that only their user can read, whatever the umask", async ({ room }) => {
    const { code } = await room.sh("umask 000; durable-streams stream append -n a -m secret >/dev/null").ended
    expect(code).toBe(0)
    const modes = fs.readdirSync(room.dataDirectory, { recursive: true, withFileTypes: true }).map((entry) => {
      const mode = fs.statSync(Path.join(entry.parentPath, entry.name)).mode & 0o777
      return `${entry.name} ${mode.toString(8)} ${mode === (entry.isDirectory() ? 0o700 : 0o600)}`
    })
    expect(modes.filter((mode) => !mode.endsWith("true"))).toEqual([])
    expect(modes.length).toBeGreaterThanOrEqual(7)
    expect(fs.statSync(room.dataDirectory).mode & 0o777).toBe(0o700)
  })

  it("writes its log as JSON lines and never writes a payload into it", async ({ room }) => {
    const secret = "s3cr3t-p4yl04d"
    await room.ds(["stream", "append", "-n", "a", "-m", secret])
    const bad = await fetch(`${room.url}/streams/a`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":${secret}}`
    })
    expect(bad.status).toBe(400)
    process.kill(room.pid, "SIGKILL")
    fs.appendFileSync(Path.join(room.dataDirectory, "streams/a.json"), `{"offset":"0000000000000001","data":"${secret}`)
    await room.ds(["stream", "append", "-n", "a", "-m", secret])
    await room.ds(["server", "stop"])
    await room.ds(["server", "start", "--port", "1", "--host", "192.0.2.1"])
    const lines = linesOf(room.read("daemon.log")!)
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    for (const entry of entries) {
      expect(entry).toMatchObject({ time: expect.any(String), level: expect.any(String), message: expect.any(String) })
    }
    expect(entries.map(({ message }) => message)).toEqual(expect.arrayContaining(["Listening", "Stopping"]))
    expect(entries.some(({ level }) => level === "warn")).toBe(true)
    expect(entries.at(-1)).toMatchObject({ level: "error" })
    expect(lines.join("\n")).not.toContain(secret)
  })

  it("starts from an empty environment", async ({ room }) => {
    const { code, stderr } = await room.ds(["stream", "append", "-n", "a", "-m", "hi"], {
      bare: true,
      env: { PATH: "/usr/bin:/bin" }
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^Started a server at .*\n$/) })
  })

  it("does not hold on to the terminal, nor to the output of the command that started it", async ({ room }) => {
    // A pipe ends when the last process that could write to it is gone.
    const { code, stdout } = await room.sh(
      "durable-streams server start | cat; readlink /proc/$(cat .iterate/daemon.pid)/fd/[012]"
    ).ended
    expect(code).toBe(0)
    const log = Path.join(room.dataDirectory, "daemon.log")
    expect(linesOf(stdout).slice(1)).toEqual(["/dev/null", log, log])
  })
})

describe("a server that a command started", () => {
  it("keeps no lock that the command had inherited, and no pipe", async ({ room, skip }) => {
    if (process.platform !== "linux") return skip("only Linux tells which files are inherited")
    const job = `( flock -n 200 || exit 9; durable-streams stream append -n cron -m ran ) 200>job.lock`
    expect(await room.sh(`${job} && ${job}`).ended).toMatchObject({ code: 0 })
    await room.ds(["server", "stop"])
    // Descriptor 77 leads to the pipe, which ends when no process has it any more.
    const { code, stdout } = await room.sh(
      `{ durable-streams stream append -n cron -m ran 77>&1 >/dev/null; } | cat; durable-streams server status`
    ).ended
    expect(stdout).toMatch(/^Running: /)
    expect(code).toBe(0)
    const pid = room.pid
    const held = fs.readdirSync(`/proc/${pid}/fd`).filter((name) => ["200", "77"].includes(name))
    expect(held).toEqual([])
  })
})

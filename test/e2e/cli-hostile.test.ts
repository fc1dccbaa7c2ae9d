/**
 * The command line in front of a server that is not ours, or means harm: its memory is bounded, and it reports the
 * trouble in a sentence that shows no insides.
 */
import * as fs from "node:fs"
import { describe, expect } from "vitest"
import { offsetOf } from "../support/names.ts"
import { it, type Room } from "../support/room.ts"
import { endless, flood, health, type HostileServer, problem, reply, startHostile } from "./hostile-server.ts"

const commands = {
  append: ["-n", "a", "-m", "x"],
  get: ["-n", "a", "-o", "raw"],
  subscribe: ["-n", "a", "-o", "pretty"],
  list: [],
  info: ["-n", "a"],
  create: ["-n", "a"],
  delete: ["-n", "a"]
}

const run = (room: Room, server: HostileServer, ...args: ReadonlyArray<string>) =>
  room.ds(["stream", ...args], { env: { DURABLE_STREAMS_URL: server.url } })

const event = (data: string, number = 0) =>
  `{"offset":"${offsetOf(number)}","eventStreamId":"a","data":${data},"createdAt":"2026-01-08T09:00:00.000Z"}`

/** Requests whose answer has no body that is read. */
const bodyless = /"(?:HEAD|PUT|DELETE) /

/** Runs it and returns the most memory that it had, in megabytes. */
const peakOf = async (room: Room, server: HostileServer, ...args: ReadonlyArray<string>) => {
  const running = room.start(["stream", ...args], { env: { DURABLE_STREAMS_URL: server.url } })
  let peak = 0
  const look = setInterval(() => {
    try {
      const status = fs.readFileSync(`/proc/${running.pid}/status`, "utf8")
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
    } catch {
      // The process has ended.
    }
  }, 10)
  const ended = await running.ended
  clearInterval(look)
  return { ...ended, peak }
}

describe("a server that is not ours", () => {
  const page = "<!doctype html><title>Sign in</title>"
  const answers: ReadonlyArray<readonly [title: string, answer: (line: string) => Buffer]> = [
    ["a portal's page", () => reply(200, "text/html", page)],
    ["gzip that nobody asked for", () => reply(200, "application/json", "\u001f\u008b", "content-encoding: gzip\r\n")],
    ["JSON of another kind", () => reply(200, "application/json", `{"hello":"world"}`)],
    ["what is cut off", () => reply(200, "application/json", `{"streams":[`)],
    ["a page of a proxy", () => reply(502, "text/html", page)],
    ["no HTTP", () => Buffer.from("220 ESMTP ready\r\n")],
    ["huge headers", () => Buffer.from(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}\r\n\r\n`)],
    ["nothing", () => Buffer.alloc(0)]
  ]
  for (const [title, answer] of answers) {
    it(`Promise 11: is reported in one sentence, without our insides: ${title}`, async ({ room }) => {
      await using server = await startHostile(answer)
      for (const [command, flags] of Object.entries(commands)) {
        // These commands read no body: an answer with a good status is enough for them.
        if (["info", "create", "delete"].includes(command) && !/proxy|HTTP|huge|nothing$/.test(title)) continue
        const { code, stderr, stdout } = await run(room, server, command, ...flags)
        expect({ command, code, stdout }).toEqual({ command, code: title === "a page of a proxy" ? 1 : 6, stdout: "" })
        expect(stderr).toMatch(/^[A-Z][^\n]*\.\n$/)
        expect(stderr).not.toMatch(/Unexpected|Invalid string|Schema|at \[|JSON at position|undefined/)
      }
    })
  }

  it("Promise 11: sends an event that is none: it is reported, in every format, and the search in it ends", async ({ room }) => {
    const bad = [`{"offset":"0000000000000000","eventStreamId":"a`, "{}", event("1").slice(0, -30), "x"]
    for (const text of bad) {
      await using server = await startHostile((line) =>
        line.includes("/health")
          ? health()
          : line.startsWith("HEAD")
          ? reply(200, "application/json", "")
          : line.includes("/events")
          ? reply(200, "application/x-ndjson", `${text}\n`)
          : reply(200, line.startsWith("POST") ? "application/json" : "text/event-stream", `data: ${text}\n\n`)
      )
      for (const format of ["json", "raw", "pretty"]) {
        for (const command of [["get"], ["subscribe"], ["append", "-m", "x"]]) {
          const { code, stderr } = await run(room, server, ...command, "-n", "a", "-o", format)
          expect({ code, stderr }).toEqual({
            code: 6,
            stderr: `What answers at ${server.url} does not say what a Durable Streams server says. ` +
              "Check the address (DURABLE_STREAMS_URL), and what stands in between.\n"
          })
        }
      }
    }
  })

  it("sends data that is no JSON: it is shown as it is", async ({ room }) => {
    await using server = await startHostile((line) =>
      line.startsWith("HEAD")
        ? reply(200, "application/octet-stream", "")
        : reply(200, "application/x-ndjson", `${event("{bad}")}\n`)
    )
    expect(await run(room, server, "get", "-n", "a", "-o", "pretty")).toMatchObject({ code: 0, stderr: "" })
    expect(await run(room, server, "get", "-n", "a", "-o", "raw")).toMatchObject({ code: 0, stdout: "{bad}" })
  })
})

describe("a server that never ends", () => {
  const x = Buffer.alloc(1024 * 1024, "x")

  it("Promise 11: sends a refusal of any length: it costs little, and its status is reported", async ({ room }) => {
    await using server = await startHostile((_, socket) => flood(socket, endless("application/problem+json", 409), x))
    for (const command of ["append", "get", "list"] as const) {
      const { code, peak, stderr } = await peakOf(room, server, command, ...commands[command])
      expect({ code, stderr }).toEqual({ code: 5, stderr: "The server answered 409.\n" })
      expect(peak).toBeLessThan(200)
    }
  })

  it("Promise 11: sends a line, an event, an answer or a name without an end: the command gives up at the largest valid size", async ({ room }) => {
    await using server = await startHostile((line, socket) => {
      if (line.includes("/health")) return health()
      if (line.startsWith("HEAD")) return reply(200, "application/json", "")
      if (line.includes("/events")) return flood(socket, endless("application/x-ndjson"), x)
      if (line.startsWith("POST")) return flood(socket, endless("application/json"), x)
      if (line.includes("/streams ")) return flood(socket, `${endless("application/json")}{"streams":["`, x)
      return flood(socket, `${endless("text/event-stream")}data: `, x)
    })
    for (const command of ["append", "get", "subscribe", "list"] as const) {
      const { code, peak, stderr } = await peakOf(room, server, command, ...commands[command])
      expect({ command, code }).toEqual({ command, code: 6 })
      expect(stderr).toMatch(
        command === "list" ? /does not say what/ : /sends more than an answer or an event can hold/
      )
      expect({ command, peak: peak < 500 ? "bounded" : peak }).toEqual({ command, peak: "bounded" })
    }
  })

  it("sends a list without an end: it is printed as it comes, and costs what one name costs", async ({ room }) => {
    await using server = await startHostile((_, socket) =>
      flood(socket, `${endless("application/json")}{"streams":["first"`, Buffer.from(",\"name\"".repeat(10_000)))
    )
    const { stdout } = await room.sh(
      `DURABLE_STREAMS_URL=${server.url} durable-streams stream list | head -c 20000000 | wc -c; echo "\${PIPESTATUS[0]}"`
    ).ended
    expect(stdout).toBe("20000000\n0\n")
  })
})

describe("a server that sends commands for the terminal", () => {
  const evil = "No\u001b]0;title\u0007\nTwo \u009b31m\u202eok"
  const seen = "No\\u001b]0;title\\u0007\\u000aTwo \\u009b31m\\u202eok"

  it("sends a problem's detail, a name, an offset or an address: each is shown on one line", async ({ room }) => {
    await using refusing = await startHostile(() => problem(409, evil))
    expect((await run(room, refusing, "append", "-n", "a", "-m", "x")).stderr).toBe(`${seen}\n`)

    await using listing = await startHostile(() =>
      reply(200, "application/json", JSON.stringify({ streams: [evil, "b"] }))
    )
    expect((await run(room, listing, "list")).stdout).toBe(`${seen}\nb\n`)
    expect((await run(room, listing, "list", "--json")).stdout).toBe(`${JSON.stringify({ streams: [evil, "b"] })}\n`)

    await using telling = await startHostile((line) =>
      bodyless.test(`"${line}`)
        ? Buffer.from(
          "HTTP/1.1 201 Created\r\ncontent-type: text/\u009b31m\r\nstream-next-offset: 1\u009b2J\r\ncontent-length: 0\r\n\r\n",
          "latin1"
        )
        : undefined
    )
    expect((await run(room, telling, "create", "-n", "a")).stderr).toBe(
      "Created a (text/\\u009b31m), next offset 1\\u009b2J\n"
    )
    const info = await room.onTerminal("stream info -n a", { DURABLE_STREAMS_URL: telling.url })
    expect(info.stdout).toContain("text/\\u009b31m")
  })

  it("sends an event of several lines: it is printed as one", async ({ room }) => {
    const lines = event(`[1,\n2]`).split("\n").map((line) => `data: ${line}\n`).join("")
    await using server = await startHostile((line) =>
      line.includes("/health")
        ? health()
        : line.startsWith("POST")
        ? reply(201, "application/json", event(`[1,\n2]`))
        : reply(200, "text/event-stream", `${lines}\n`)
    )
    for (const command of [["append", "-m", "x"], ["subscribe", "-l", "1"]]) {
      expect((await run(room, server, ...command, "-n", "a")).stdout).toBe(`${event(`[1, 2]`)}\n`)
    }
  })
})

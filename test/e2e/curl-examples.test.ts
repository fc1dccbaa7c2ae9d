/**
 * The examples of the HTTP API, with a real curl, as the documents write them; only the port is another one.
 */
import { assert, layer } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { offsetOf } from "../support/names.ts"
import { append, layerServer, talk } from "../support/served.ts"

/** Runs a command line; with `until`, runs until its output holds that text. */
const shell = (port: number, command: string, until?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(
      "sh",
      ["-c", `exec ${command.replaceAll("localhost:3000", `localhost:${port}`)}`],
      {
        env: { ...process.env, NO_PROXY: "*" },
        stdio: ["ignore", "pipe", "ignore"]
      }
    )
    let output = ""
    child.stdout!.on("data", (bytes) => {
      output += String(bytes)
      if (until !== undefined && output.includes(until)) child.kill("SIGTERM")
    })
    child.on("error", reject)
    child.on("close", () => resolve(output))
  })

const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
const event = (offset: number, text: string) =>
  `{"offset":"${
    offsetOf(offset)
  }","eventStreamId":"my-stream","data":{"type": "message", "text": "${text}"},"createdAt":"`

layer(layerServer({ storage: "fs" }), { excludeTestServices: true })("curl", (it) => {
  const hello = `curl -X POST http://localhost:3000/streams/my-stream \\
  -H "Content-Type: application/json" \\
  -d '{"data": {"type": "message", "text": "hello"}}'`

  it.effect("appends an event", () =>
    talk(async (port) => {
      const output = await shell(port, hello)
      assert.strictEqual(output.slice(0, event(0, "hello").length), event(0, "hello"))
      assert.match(output.slice(event(0, "hello").length), new RegExp(`^${time}"\\}$`))
      for (const text of ["world", "again", "and", "again", "and on"]) {
        await append(port, "my-stream", `{"type": "message", "text": "${text}"}`)
      }
    }))

  it.effect("follows from the beginning, from an offset, and from now", () =>
    talk(async (port) => {
      const all = await shell(port, "curl -N http://localhost:3000/streams/my-stream?offset=-1", "and on")
      assert.include(all, `data: ${event(0, "hello")}`)
      assert.include(all, `\n\nid: ${offsetOf(1)}\ndata: ${event(1, "world")}`)
      const some = await shell(
        port,
        "curl -N http://localhost:3000/streams/my-stream?offset=0000000000000005",
        "and on"
      )
      assert.strictEqual(some.slice(0, some.indexOf("{")), `id: ${offsetOf(5)}\ndata: `)
      const live = shell(port, "curl -N http://localhost:3000/streams/my-stream", `data: {"offset":`)
      // Whether curl follows already or not: it is shown the first event that is appended after it came.
      const seen = { done: false }
      void live.finally(() => seen.done = true)
      let next = 6
      while (!seen.done) await append(port, "my-stream", String(next++))
      const [first, offset] = /data: \{"offset":"(\d{16})"/.exec(await live)!
      assert.isString(first)
      assert.isAtLeast(Number(offset), 6)
    }))

  it.effect("reads events, lists streams and deletes one", () =>
    talk(async (port) => {
      const read = await shell(
        port,
        "curl 'http://localhost:3000/streams/my-stream/events?offset=0000000000000005&limit=10'"
      )
      const start = `{"events":[${event(5, "and on")}`
      assert.strictEqual(read.slice(0, start.length), start)
      assert.strictEqual(read.slice(-2), "]}")
      assert.isAtMost((JSON.parse(read) as { events: ReadonlyArray<unknown> }).events.length, 10)
      const all = await shell(port, "curl http://localhost:3000/streams/my-stream/events")
      assert.isTrue(all.startsWith(`{"events":[${event(0, "hello")}`))
      await append(port, "another-stream", "1")
      assert.strictEqual(
        await shell(port, "curl http://localhost:3000/streams"),
        `{"streams":["another-stream","my-stream"]}`
      )
      assert.strictEqual(
        await shell(port, "curl -w '%{http_code}' -X DELETE http://localhost:3000/streams/my-stream"),
        "204"
      )
      assert.strictEqual(await shell(port, "curl http://localhost:3000/streams"), `{"streams":["another-stream"]}`)
    }))

  it.effect("speaks the protocol as the README shows it", () =>
    talk(async (port) => {
      const readme = fs.readFileSync(new URL("../../README.md", import.meta.url), "utf8")
      const [, lines, answer] = /```console\n((?:\$ curl .*\/v1\/stream\/notes.*\n)+)(.*)\n```/.exec(readme)!
      const outputs: Array<string> = []
      for (const line of lines!.trim().split("\n")) outputs.push(await shell(port, line.slice("$ ".length)))
      assert.deepStrictEqual(outputs, ["", "", "", answer!])
    }))

  it.effect("Promise 11: can send 600 MB and reads why they are refused", () =>
    talk(async (port) => {
      const zeros = `sh -c 'head -c 600000000 /dev/zero | curl -s -w " %{http_code}" -X POST -T - ` +
        `-H "Content-Type: application/json" http://localhost:3000/streams/large'`
      assert.match(await shell(port, zeros), /"status":413.* 413$/)
      const announced = `curl -s -w ' %{http_code}' -H 'Content-Type: application/json' ` +
        `-d "{\\"data\\":\\"$(head -c 100000 /dev/zero | tr '\\0' x)\\"}" http://localhost:3000/streams/small`
      assert.match(await shell(port, announced), / 201$/)
    }))
})

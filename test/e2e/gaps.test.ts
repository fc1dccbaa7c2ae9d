/**
 * A command follows a stream that comes back without events that were shown: it reports that, goes on with the events
 * of the stream, and prints nothing twice (promise 10).
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { expect } from "vitest"
import { dataOf, it, linesOf, offsetsOf, type Room } from "../support/room.ts"

const serve = async (room: Room, ...flags: ReadonlyArray<string>) => {
  const server = room.start(["server", "run", "--data-dir", "data", ...flags])
  await server.told("Listening")
  return {
    port: /http:\/\/127\.0\.0\.1:(\d+)/.exec(server.stderr)![1]!,
    stop: () => {
      server.kill("SIGTERM")
      return server.ended
    }
  }
}

const append = async (port: string, ...events: ReadonlyArray<unknown>) => {
  for (const data of events) {
    const answer = await fetch(`http://127.0.0.1:${port}/streams/s`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ data })
    })
    expect(answer.status).toBe(201)
  }
}

const follow = (room: Room, port: string, ...args: ReadonlyArray<string>) =>
  room.start(["stream", ...args], { env: { DURABLE_STREAMS_URL: `http://127.0.0.1:${port}` } })

it("Promise 10: a server that lost its memory is reported, however long the new stream is, and read from its beginning", async ({ room }) => {
  const first = await serve(room, "--port", "0", "--storage", "memory")
  const { port } = first
  await append(port, 1, 2, 3, 4, 5)
  const followers = [
    follow(room, port, "subscribe", "-n", "s", "--offset", "-1"),
    follow(room, port, "get", "-f", "-n", "s")
  ]
  for (const follower of followers) expect(dataOf(await follower.line(5))).toEqual([1, 2, 3, 4, 5])
  const expected = [1, 2, 3, 4, 5]
  let running = first
  // First shorter than the place, then longer: beyond the tail, and of another life.
  for (const events of [["a", "b"], ["c", "d", "e", "f"]]) {
    await running.stop()
    for (const follower of followers) await follower.told("Lost the server")
    running = await serve(room, "--port", port, "--storage", "memory")
    await append(port, ...events)
    expected.push(...events as unknown as Array<number>)
    for (const follower of followers) expect(dataOf(await follower.line(expected.length))).toEqual(expected)
  }
  for (const follower of followers) {
    follower.kill("SIGINT")
    const { code, stderr } = await follower.ended
    expect(code).toBe(130)
    const gone = linesOf(stderr).filter((line) => line.startsWith("The stream was made again"))
    expect(gone).toHaveLength(2)
    expect(stderr).toContain("Back again, going on at offset 0000000000000000.")
    expect(linesOf(stderr).at(-1)).toBe("Next offset: 0000000000000004")
  }
  await running.stop()
})

it("Promise 10: a stream that was restored from a copy is followed from its tail, and the missing events are counted", async ({ room }) => {
  const early = await serve(room, "--port", "0")
  const { port } = early
  await append(port, 0, 1, 2)
  await early.stop()
  const file = Path.join(room.directory, "data", "streams", "s.json")
  const copy = fs.readFileSync(file)

  const late = await serve(room, "--port", port)
  const follower = follow(room, port, "subscribe", "-n", "s", "--offset", "-1")
  await append(port, 3, 4)
  await follower.line(5)
  await late.stop()
  await follower.told("Lost the server")
  fs.writeFileSync(file, copy)

  const restored = await serve(room, "--port", port)
  await follower.told("the last 2 are gone. Going on at its tail.")
  await follower.told("Back again, going on at offset 0000000000000003.")
  await append(port, "three", "four")
  expect(dataOf(await follower.line(7))).toEqual([0, 1, 2, 3, 4, "three", "four"])
  expect(offsetsOf(follower.lines)).toEqual([0, 1, 2, 3, 4, 3, 4])
  follower.kill("SIGINT")
  await follower.ended
  await restored.stop()
})

it("a follower that asks to begin beyond the tail is refused with a way out, and ends with 3", async ({ room }) => {
  const server = await serve(room, "--port", "0")
  await append(server.port, 0)
  for (const command of [["subscribe"], ["get"], ["get", "-f"]]) {
    const { code, stderr, stdout } = await follow(room, server.port, ...command, "-n", "s", "--offset", "7").ended
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" })
    expect(stderr).toMatch(/^The stream "s" ends at offset 0{15}1, before 0{15}7: .* Read it from -1 .*\.\n$/)
  }
  await server.stop()
})

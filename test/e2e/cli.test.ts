/**
 * The commands that read, list and delete; the server that a command uses; and the behaviour of a command among other
 * programs.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { dataOf, it, linesOf, offsetsOf, type Room, until } from "../support/room.ts"

/** Ten events, 0 to 9. */
const ten = async (room: Room, ...args: ReadonlyArray<string>) =>
  expect(
    await room.ds(["stream", "append", "-n", "a", "-i", "json", ...args], { input: "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" })
  ).toMatchObject({ code: 0 })

const get = async (room: Room, ...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await room.ds(["stream", "get", "-n", "a", ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return dataOf(linesOf(stdout))
}

const firstLine = (command: string) => `durable-streams stream ${command} | head -1; echo "\${PIPESTATUS[0]}"`

describe("reading", () => {
  it("get takes -l, --offset with or without =, --tail and --since; the latest beginning counts", async ({ room }) => {
    await ten(room)
    expect(await get(room)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await get(room, "--offset", "-1", "-l", "2")).toEqual([0, 1])
    expect(await get(room, "--offset=-1", "--limit=1")).toEqual([0])
    expect(await get(room, "--offset", "0000000000000005", "-l", "10")).toEqual([5, 6, 7, 8, 9])
    expect(await get(room, "--offset", "7")).toEqual([7, 8, 9])
    expect(await get(room, "--offset", "now")).toEqual([])
    expect(await get(room, "--tail", "3", "--since", "10m", "--offset", "beginning")).toEqual([7, 8, 9])
    expect(await get(room, "--tail", "3", "--offset", "9")).toEqual([9])
    expect(await get(room, "--tail", "100")).toHaveLength(10)
    expect(await get(room, "--since", "2020-01-01T00:00:00Z")).toHaveLength(10)
    expect(await get(room, "--since", "2100-01-01T00:00:00Z")).toEqual([])
  })

  it("get -f goes on with new events; --limit ends it", async ({ room }) => {
    await ten(room)
    const follower = room.start(["stream", "get", "-n", "a", "--tail", "2", "--since", "10m", "-f", "--limit", "3"])
    expect(dataOf(await follower.line(2))).toEqual([8, 9])
    await room.ds(["stream", "append", "-n", "a", "-e", "10"])
    expect(await follower.ended).toMatchObject({ code: 0, stderr: "" })
    expect(dataOf(follower.lines)).toEqual([8, 9, 10])
  })

  it("subscribe begins at its --offset, and --limit ends it", async ({ room }) => {
    await ten(room)
    const read = async (...args: ReadonlyArray<string>) => {
      const { code, stderr, stdout } = await room.ds(["stream", "subscribe", "-n", "a", ...args])
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      return offsetsOf(linesOf(stdout))
    }
    expect(await read("--tail", "2", "--limit", "2")).toEqual([8, 9])
    expect(await read("--offset", "-1", "--limit", "10")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await read("--offset=-1", "-l", "1")).toEqual([0])
    expect(await read("--offset", "0000000000000009", "-l", "1")).toEqual([9])
    expect(await read("--since", "10m", "-l", "1")).toEqual([0])
  })

  it("Promise 4: a reader who is interrupted is told the next offset, and misses nothing from there", async ({ room }) => {
    await ten(room)
    let next = "-1"
    const seen: Array<number> = []
    for (const count of [10, 1, 1]) {
      const follower = room.start(["stream", "subscribe", "-n", "a", "--offset", next])
      seen.push(...offsetsOf(await follower.line(count)))
      follower.kill("SIGINT")
      const { code, stderr } = await follower.ended
      expect(code).toBe(130)
      next = /^Next offset: (\d{16})\n$/.exec(stderr)?.[1] ?? "not told"
      await room.ds(["stream", "append", "-n", "a", "-e", "1"])
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it("a reader that leaves ends the command silently with 0", async ({ room }) => {
    await ten(room)
    const big = await room.sh("for i in {1..30000}; do echo \"$i $RANDOM\"; done | durable-streams stream append -n b")
      .ended
    expect(big.code).toBe(0)
    const got = await room.sh(firstLine("get -n b")).ended
    expect(offsetsOf(linesOf(got.stdout).slice(0, 1))).toEqual([0])
    expect({ status: linesOf(got.stdout)[1], stderr: got.stderr }).toEqual({ status: "0", stderr: "" })
    // A follower notices at once, and not with its next event.
    for (const command of ["subscribe -n a --offset -1", "get -n a -f"]) {
      const follower = await room.sh(firstLine(command)).ended
      expect(follower).toMatchObject({ code: 0, stderr: "" })
      expect(linesOf(follower.stdout)[1]).toBe("0")
    }
    // So does the next command in a pipeline.
    const two = "durable-streams stream subscribe -n a -o raw | head -1"
    const follower = room.sh(`${two}; echo "\${PIPESTATUS[0]}"`)
    await until(async () => {
      await room.ds(["stream", "append", "-n", "a", "-e", "1"])
      return follower.lines.length === 2
    }, () => "the follower's end")
    expect(await follower.ended).toMatchObject({ code: 0, stderr: "" })
    // A named pipe whose other end is closed before the command looks at it.
    const pipe = await room.sh(
      "mkfifo pipe; (exec 3< pipe) & durable-streams stream subscribe -n a > pipe; echo \"$?\""
    ).ended
    expect(pipe).toMatchObject({ stdout: "0\n", stderr: "" })
  })
})

describe("listing and deleting", () => {
  it("list takes --prefix, --after, --limit and --json; delete says what it did, and ends with 3 if there is no such stream", async ({ room }) => {
    for (const name of ["b", "a/2", "a/1"]) await room.ds(["stream", "append", "-n", name, "-m", "x"])
    const list = async (...args: ReadonlyArray<string>) => (await room.ds(["stream", "list", ...args])).stdout
    expect(await list()).toBe("a/1\na/2\nb\n")
    expect(await list("--prefix", "a/")).toBe("a/1\na/2\n")
    expect(await list("--after", "a/1", "--limit", "1")).toBe("a/2\n")
    expect(await list("--json")).toBe("{\"streams\":[\"a/1\",\"a/2\",\"b\"]}\n")
    expect(await room.ds(["stream", "delete", "-n", "a/1"])).toMatchObject({ code: 0, stdout: "" })
    expect(await room.ds(["stream", "delete", "-n", "a/1"])).toMatchObject({ code: 3, stdout: "" })
    expect(await list()).toBe("a/2\nb\n")
  })
})

describe("the server that a command uses", () => {
  it("is the one whose files --data-dir and DURABLE_STREAMS_DATA_DIR name; the flag counts more", async ({ room }) => {
    await room.ds(["stream", "append", "-n", "flag", "-m", "x", "--data-dir", "d1"])
    const env = { DURABLE_STREAMS_DATA_DIR: Path.join(room.directory, "d2") }
    await room.ds(["stream", "append", "-n", "env", "-m", "x"], { env })
    const list = async (options: Parameters<Room["ds"]>[1], ...args: ReadonlyArray<string>) =>
      (await room.ds(["stream", "list", ...args], options)).stdout
    expect(await list({ env })).toBe("env\n")
    expect(await list({ env }, "--data-dir=d1")).toBe("flag\n")
    expect(await list({ cwd: "/" }, "--data-dir", Path.join(room.directory, "d1"))).toBe("flag\n")
    expect(fs.existsSync(room.dataDirectory)).toBe(false)
  })

  it("is the one that DURABLE_STREAMS_URL names, and then no daemon is started or looked for", async ({ room }) => {
    await room.ds(["server", "start", "--data-dir", "far"])
    const port = fs.readFileSync(Path.join(room.directory, "far/daemon.port"), "utf8").trim()
    const near = Path.join(room.directory, "near")
    fs.mkdirSync(near)
    const options = { cwd: near, env: { DURABLE_STREAMS_URL: `http://127.0.0.1:${port}/` } }
    expect(await room.ds(["stream", "append", "-n", "a", "-m", "x"], options)).toMatchObject({ code: 0, stderr: "" })
    expect((await room.ds(["stream", "list"], options)).stdout).toBe("a\n")
    expect((await room.ds(["stream", "subscribe", "-n", "a", "--tail", "1", "-l", "1"], options)).code).toBe(0)
    expect(fs.readdirSync(near)).toEqual([])
    expect(room.servers()).toHaveLength(1)
  })

  it("may redirect: the command reports that, and no event goes to the other address", async ({ room }) => {
    const asked: Array<string> = []
    const other = http.createServer((request, response) => {
      asked.push(request.url!)
      response.end()
    })
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
    const elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const moved = http.createServer((request, response) => {
      response.writeHead(request.method === "POST" ? 307 : 302, { location: `${elsewhere}${request.url}` }).end()
    })
    await new Promise<void>((resolve) => moved.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(moved.address() as AddressInfo).port}`
    const paths = { append: "/streams/a", get: "/streams/a/events", subscribe: "/health", list: "/streams" }
    for (const [command, path] of Object.entries(paths)) {
      const flags = command === "list" ? [] : ["-n", "a"]
      const status = command === "append" ? 307 : 302
      const input = command === "append" ? ["-m", "secret"] : []
      expect(await room.ds(["stream", command, ...flags, ...input], { env: { DURABLE_STREAMS_URL: url } }))
        .toMatchObject({
          code: 6,
          stdout: "",
          stderr: `What answers at ${url} sends elsewhere: ${elsewhere}${path} (${status}). No redirect is followed; ` +
            "if that is the server, name its address in DURABLE_STREAMS_URL.\n"
        })
    }
    moved.close()
    other.close()
    expect(asked).toEqual([])
  })

  it("gives code 6 if nothing answers at DURABLE_STREAMS_URL, even for commands that would wait", async ({ room }) => {
    for (
      const command of [["list"], ["append", "-n", "a", "-m", "x"], ["subscribe", "-n", "a"], ["get", "-f", "-n", "a"]]
    ) {
      const env = { DURABLE_STREAMS_URL: "http://127.0.0.1:1" }
      expect(await room.ds(["stream", ...command], { env })).toMatchObject({
        code: 6,
        stdout: "",
        stderr:
          "No server answers at http://127.0.0.1:1. Start one there, or check the address (DURABLE_STREAMS_URL).\n"
      })
    }
    expect(fs.readdirSync(room.directory)).toEqual([])
  })

  it("gives code 6, too, if it breaks off before it has answered, and the command does not say that no server was there", async ({ room }) => {
    const server = net.createServer((socket) =>
      void socket.on("error", () => {}).once("data", () => socket.resetAndDestroy())
    )
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await room.ds(["stream", "append", "-n", "a", "-m", "x"], { env: { DURABLE_STREAMS_URL: url } }))
      .toMatchObject({
        code: 6,
        stdout: "",
        stderr:
          `The server at ${url} broke off before it had answered. What was asked of it may have been done, or not.\n`
      })
    server.close()
  })

  it("gives its status as the exit code if it refuses, and its sentence is printed", async ({ room }) => {
    const server = http.createServer((request, response) => {
      const status = Number(/\/streams\/(\d+)/.exec(request.url!)?.[1])
      response.writeHead(status, { "content-type": "application/problem+json" })
      response.end(JSON.stringify({ status, detail: `No, because of ${status}.` }))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const env = { DURABLE_STREAMS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    const codes = { 400: 2, 401: 4, 403: 4, 404: 3, 409: 5, 410: 3, 412: 5, 413: 1, 500: 1, 507: 1 }
    const got = await Promise.all(
      Object.keys(codes).map(async (status) => {
        const { code, stderr } = await room.ds(["stream", "append", "-n", status, "-m", "x"], { env })
        return [status, code, stderr]
      })
    )
    server.close()
    expect(got).toEqual(Object.entries(codes).map(([status, code]) => [status, code, `No, because of ${status}.\n`]))
  })

  it("is not started with --no-start: code 3, and no file is made", async ({ room }) => {
    for (const command of [["list"], ["append", "-n", "a", "-m", "x"], ["subscribe", "-n", "a"]]) {
      expect(await room.ds(["stream", ...command, "--no-start"])).toMatchObject({
        code: 3,
        stdout: "",
        stderr: `No server is running for ${room.dataDirectory}. Start one with: server start\n`
      })
    }
    expect(fs.readdirSync(room.directory)).toEqual([])
  })
})

/**
 * The package as users get it: packed, installed into an empty folder, run by name on the newest and on the oldest
 * supported Node, and imported.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { beforeAll, describe, expect } from "vitest"
import { root } from "../support/built.ts"
import { dataOf, it, linesOf, Room } from "../support/room.ts"

/** The oldest Node of `engines`. */
const oldest = "22.19.0"

const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
const shelf = new Room()

// Most of its time is spent on downloads.
describe.concurrent("the package", () => {
  let tarball = ""
  let nodes: ReadonlyArray<readonly [version: string, directory: string | undefined]> = []

  beforeAll(async () => {
    const folder = Path.join(shelf.directory, "node")
    fs.mkdirSync(folder)
    const [packed, got] = await Promise.all([
      // `npm pack` builds first.
      shelf.spawn("npm", ["pack", "--pack-destination", shelf.directory, "--loglevel=error"], { cwd: root }).ended,
      shelf.spawn("npm", ["install", ...quiet, `node@${oldest}`], { cwd: folder }).ended
    ])
    tarball = Path.join(shelf.directory, linesOf(packed.stdout).at(-1) ?? "")
    expect({ ...packed, made: fs.existsSync(tarball) }).toMatchObject({ code: 0, made: true })
    const binary = Path.join(folder, "node_modules/node/bin")
    nodes = [
      [process.versions.node, Path.dirname(process.execPath)],
      [oldest, got.code === 0 && fs.existsSync(Path.join(binary, "node")) ? binary : undefined]
    ]
    return () => shelf.close()
    // Ten times the time of a build and two installations on an idle machine.
  }, 400_000)

  for (const [index, version] of [process.versions.node, oldest].entries()) {
    it(`works from an empty folder on Node ${version}`, { timeout: 240_000 }, async ({ room, skip }) => {
      const node = nodes[index]![1]
      skip(node === undefined, `the registry does not give Node ${version}`)
      const env = {
        PATH: `${node}:${process.env["PATH"]}`,
        NODE_COMPILE_CACHE: undefined,
        npm_config_loglevel: "error"
      }
      const sh = (line: string) => room.spawn("bash", ["-c", line], { env }).ended
      expect((await sh("node --version")).stdout).toBe(`v${version}\n`)
      const installed = await sh(`npm install ${quiet.join(" ")} '${tarball}'`)
      expect(installed).toMatchObject({ code: 0 })
      // The `effect` of events is the user's own, so that there is only one.
      expect(fs.readdirSync(Path.join(room.directory, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(
        [
          "durable-streams",
          "effect"
        ]
      )

      expect(await sh("npx durable-streams --version")).toMatchObject({ code: 0, stdout: "durable-streams v0.1.0\n" })
      const first = await sh("npx ds stream append -n hello -m 'hello world'")
      expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Started a server at .*\n$/) })
      expect(dataOf(linesOf(first.stdout))).toEqual([{ type: "message", text: "hello world" }])
      expect(fs.readlinkSync(`/proc/${room.pid}/exe`)).toBe(fs.realpathSync(Path.join(node!, "node")))
      const got = await sh("npx durable-streams stream subscribe -n hello --offset -1 --limit 1")
      expect(got).toEqual({ ...first, stderr: "" })
      expect((await sh("npx ds server stop")).code).toBe(0)

      fs.writeFileSync(Path.join(room.directory, "use.mjs"), program)
      expect(await sh("node use.mjs")).toEqual({
        code: 0,
        signal: null,
        stderr: "",
        stdout: "0000000000000001 {\"type\":\"message\",\"text\":\"hello world\"} {\"n\":1}\nhttp://127.0.0.1:1\n"
      })
    })
  }
})

/** Reads the events of the command line, and appends to them, without a server. */
const program = `
import { Effect, Layer } from "effect"
import { ActiveFactory, EventData, layerFileSystem, StreamManager } from "durable-streams"
import { makeClient } from "durable-streams/client"
import { readFileSync } from "node:fs"

const storage = layerFileSystem({ directory: ".iterate/streams", durability: "fsync" })
const layer = StreamManager.layer.pipe(Layer.provide(ActiveFactory), Layer.provide(storage))
const offset = await Effect.gen(function*() {
  const manager = yield* StreamManager
  const { events } = yield* manager.append("hello", { data: [EventData.fromValue({ n: 1 })] })
  return String(events.first).padStart(16, "0")
}).pipe(Effect.provide(layer), Effect.runPromise)
const lines = readFileSync(".iterate/streams/hello.json", "utf8").trim().split("\\n").slice(1)
console.log(offset, ...lines.map((line) => JSON.stringify(JSON.parse(line).data)))
console.log(makeClient("http://127.0.0.1:1/").url)
`

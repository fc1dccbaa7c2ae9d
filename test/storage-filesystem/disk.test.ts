/**
 * The real disk: properties that the logs rely on besides the calls themselves.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { DiskFailure, nodeDisk, nodeDiskToRead } from "../../src/storage-filesystem/disk/disk.ts"
import { findTail } from "../../src/storage-filesystem/log/find-tail.ts"
import { isInstalled, strace } from "../support/machine.ts"
import { CountingDisk } from "./counting-disk.ts"

const withDirectory = <A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(yield* files.makeTempDirectoryScoped({ prefix: "durable-streams-" }))
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

describe("A file on the real disk", () => {
  it.live("that is closed at the moment a call returns is closed once: no other file loses its descriptor", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const paths = Array.from({ length: 16 }, (_, i) => Path.join(directory, `${i}`))
        for (const path of paths) {
          const file = yield* nodeDisk.create(path)
          yield* file.write(Buffer.from(path), 0)
          yield* file.close
        }
        const useAndClose = Effect.fnUntraced(function*(path: string) {
          const file = yield* nodeDisk.open(path)
          for (let i = 0; i < 3; i++) {
            const bytes = Buffer.alloc(1024)
            const got = yield* file.read(bytes, bytes.length, 0)
            assert.strictEqual(bytes.toString("utf8", 0, got), path)
          }
          yield* file.close
        })
        yield* Effect.forEach(paths, (path) => Effect.repeat(useAndClose(path), { times: 300 }), {
          concurrency: "unbounded"
        })
      })
    ))

  it.live("is closed only after the calls under way have returned", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "file")
        const file = yield* nodeDisk.create(path)
        yield* file.write(Buffer.alloc(1_000_000, "x"), 0)
        const bytes = Buffer.alloc(1_000_000)
        const [got] = yield* Effect.all([file.read(bytes, bytes.length, 0), file.flush, file.close], {
          concurrency: "unbounded"
        })
        assert.strictEqual(got, 1_000_000)
      })
    ))

  it("survives a power cut together with its directories: each directory above it is flushed", (context) => {
    context.skip(!isInstalled("strace"), "needs strace")
    const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-"))
    const module = Path.resolve(import.meta.dirname, "../../src/storage-filesystem/disk/disk.ts")
    const script = `import { Effect } from "effect"
      import { nodeDisk } from ${JSON.stringify(module)}
      await Effect.runPromise(nodeDisk.makeDirectory(${JSON.stringify(Path.join(directory, "a/b"))}))
      await Effect.runPromise(nodeDisk.makeDirectory(${JSON.stringify(Path.join(directory, "a/b"))}))`
    const traced = Path.join(directory, "trace")
    // strace runs the program and is not attached to it: its output is complete when it ends.
    const [tracer, ...tracing] = strace(traced, "-y", "-e", "trace=fsync").filter((option) => option !== "-D")
    const { status, stderr } = spawnSync(
      tracer!,
      [...tracing, process.execPath, "--input-type=module", "-e", script],
      { encoding: "utf8", cwd: Path.resolve(import.meta.dirname, "../..") }
    )
    assert.strictEqual(status, 0, stderr)
    const flushed = [...fs.readFileSync(traced, "utf8").matchAll(/fsync\(\d+<([^>]+)>/g)].map(([, path]) => path)
    assert.deepStrictEqual(flushed, [Path.join(directory, "a"), directory])
    fs.rmSync(directory, { recursive: true })
  })

  it("can be read when the file system has turned read-only, and the refusal of a write says why", (context) => {
    context.skip(process.getuid?.() !== 0, "only root can mount")
    const mounting = "mount -t tmpfs tmpfs /mnt && echo there > /mnt/file && mount -o remount,ro /mnt && exec \"$@\""
    const script = `
      import { Effect } from "effect"
      import { nodeDisk } from ${JSON.stringify(Path.resolve("src/storage-filesystem/disk/disk.ts"))}
      const tried = (effect) => Effect.match(effect, { onFailure: ({ call, code }) => call + " " + code, onSuccess: String })
      Effect.runPromise(Effect.gen(function*() {
        const file = yield* nodeDisk.open("/mnt/file")
        const bytes = Buffer.alloc(5)
        yield* file.read(bytes, 5, 0)
        return [String(bytes), yield* tried(file.write(bytes, 0)), yield* tried(file.truncate(0)), yield* tried(file.flush)]
      })).then((said) => console.log(said.join()))`
    const { status, stderr, stdout } = spawnSync(
      "unshare",
      [
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        mounting,
        "sh",
        process.execPath,
        "--input-type=module",
        "-e",
        script
      ],
      { encoding: "utf8" }
    )
    context.skip(status !== 0 && /mount|unshare/.test(stderr), `a tmpfs may not be mounted here: ${stderr}`)
    assert.strictEqual(stdout.trim(), "there,write EROFS,ftruncate EROFS,fdatasync EROFS", stderr)
  })

  it.live.each([["a pipe", ["mkfifo"]], ["a directory", ["mkdir"]]] as const)(
    "is never %s: an open refuses that, and does not wait for it",
    ([, command]) =>
      withDirectory((directory) =>
        Effect.gen(function*() {
          const path = Path.join(directory, "x.json")
          assert.strictEqual(spawnSync(command[0], [path]).status, 0)
          for (const open of [nodeDisk.open, nodeDiskToRead.open, nodeDisk.create]) {
            assert.include(["EFTYPE", "EISDIR"], (yield* Effect.flip(open(path))).code)
          }
        })
      )
  )

  it.live("that is sparse and larger than any memory is no log, and the disk tells that from a small piece of it", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "a.json")
        fs.writeFileSync(path, "{}\n")
        fs.truncateSync(path, 50 * 2 ** 30)
        const disk = new CountingDisk(nodeDisk)
        assert.strictEqual(yield* findTail(yield* disk.open(path), 0), "damaged")
        assert.isBelow(disk.bytesRead, 2 ** 30)
      })
    ))

  it.live("belongs to its user alone, and so does its directory", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const inner = Path.join(directory, "a", "b")
        yield* nodeDisk.makeDirectory(inner)
        const file = yield* nodeDisk.create(Path.join(inner, "file"))
        yield* file.close
        assert.strictEqual(fs.statSync(inner).mode & 0o777, 0o700)
        assert.strictEqual(fs.statSync(Path.join(inner, "file")).mode & 0o777, 0o600)
        yield* nodeDisk.flushDirectory(inner)
      })
    ))

  it.live("that was removed fails with that reason, and one that never existed fails with the call, the path and the reason", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const path = Path.join(directory, "file")
        const file = yield* nodeDisk.create(path)
        assert.strictEqual(yield* file.links, 1)
        yield* nodeDisk.remove(path)
        assert.strictEqual(yield* file.links, 0)
        yield* file.close
        const failure = yield* Effect.flip(nodeDisk.open(path))
        assert.instanceOf(failure, DiskFailure)
        assert.deepStrictEqual([failure.call, failure.path, failure.code], ["open", path, "ENOENT"])
      })
    ))
})

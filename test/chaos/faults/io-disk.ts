/**
 * Disks that are full, read-only or gone.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { isRoot, missing } from "../../support/machine.ts"
import { MountSpace } from "../../support/mount-space.ts"
import { ask } from "../clients/ask.ts"
import { nativeDoor } from "../clients/doors.ts"
import { LoopDisk } from "../crashes/loop-disk.ts"
import type { Trial } from "../harness/trial.ts"
import { recoveryMillis } from "../harness/trial.ts"
import type { Case } from "./io.ts"

/** The size of a file system in memory that fills up soon; both areas of the journal fit in at first. */
const megabytes = 8

const longEnough = 16 * 1024

const withSmallDisk = async (trial: Trial, use: (space: MountSpace, filler: string) => Promise<void>) => {
  const lacking = missing("unshare", "nsenter", "mount")
  if (!isRoot || lacking !== undefined) return lacking ?? "needs CAP_SYS_ADMIN"
  const space = await MountSpace.make()
  if (typeof space === "string") return `needs ${space}`
  try {
    const { directory } = trial.server
    fs.mkdirSync(directory)
    space.run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=0700`, "tmpfs", directory)
    await use(space, space.outside(Path.join(directory, "filler")))
  } finally {
    await trial.server.kill()
    space.close()
  }
  return undefined
}

/** Fills all free space. */
const fill = (filler: string) => {
  const fd = fs.openSync(filler, "a")
  const block = Buffer.alloc(64 * 1024)
  try {
    while (true) fs.writeSync(fd, block)
  } catch {
    fs.closeSync(fd)
  }
}

export const fullDisk: Case = ({ random, trial }) =>
  withSmallDisk(trial, async (space, filler) => {
    const { server } = trial
    const start = { wrapper: space.wrapper }
    await server.start(start)
    for (const stream of ["a", "b", "gone"]) await trial.append(stream)
    trial.follow("a")
    // Some appends come many at a time, so that the journal exists, too.
    await trial.load(["a", "b", "c", "d"], random, 300)
    fill(filler)
    const until = performance.now() + 10_000
    let status = 201
    while (status === 201 && performance.now() < until) status = await trial.append("a", longEnough)
    trial.expect(status === 507, `the first append on a full disk was answered with ${status}`)
    const told = await ask(server.port, "/streams/a", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":"${"x".repeat(longEnough)}"}`
    })
    trial.expect(/Nothing was stored; free some space/.test(told?.text ?? ""), `a refusal says ${told?.text}`)
    trial.expect(await trial.append("made now", longEnough) === 507, "a stream was made on a full disk")
    const { status: deleted } = await nativeDoor.delete(server.port, "gone")
    trial.expect(deleted === 204, `a deletion on a full disk was answered with ${deleted}`)
    trial.expect(await trial.count("a") !== undefined, "a full disk cannot be read")
    await trial.health("failing")
    fs.rmSync(filler)
    const from = performance.now()
    while (await trial.append("a", longEnough) !== 201 && performance.now() < from + 10_000);
    const took = Math.round(performance.now() - from)
    trial.expect(took <= recoveryMillis, `it took ${took} ms until appends worked again`)
    await trial.health("ok")
    await trial.load(["a", "b", "c", "d"], random, 100)
    trial.forget("gone")
    await server.kill()
    await server.start(start)
    await trial.finish((path) => space.outside(path))
  })

export const fullFromTheStart: Case = ({ trial }) =>
  withSmallDisk(trial, async (space, filler) => {
    const { server } = trial
    const start = { wrapper: space.wrapper }
    fill(filler)
    // The server serves the stored events, of which there are none yet, and lets a client free space.
    await server.start(start)
    const refused = await trial.append("a")
    trial.expect(refused === 507, `an append on a full disk was answered with ${refused}`)
    fs.rmSync(filler)
    trial.expect(await trial.append("a") === 201, "it takes no appends when there is room again")
    await trial.finish((path) => space.outside(path))
  })

/** A limit on the length of files: the write that meets it is cut short, and the next one fails. */
export const shortWrite: Case = async ({ random, trial }) => {
  const lacking = missing("prlimit")
  if (lacking !== undefined) return lacking
  const { server } = trial
  const limit = random.between(200_000, 400_000)
  await server.start({ wrapper: ["prlimit", `--fsize=${limit}:unlimited`] })
  trial.follow("a")
  const until = performance.now() + 10_000
  let status = 201
  while (status === 201 && performance.now() < until) status = await trial.append("a", random.between(1, 60_000))
  trial.expect(status === 507, `an append beyond the limit was answered with ${status}`)
  const { size } = fs.statSync(Path.join(server.directory, "streams/a.json"))
  const text = fs.readFileSync(Path.join(server.directory, "streams/a.json"), "utf8")
  trial.expect(size < limit && text.endsWith("\"}}\n"), `the file was left with ${size} bytes, ending in a torn commit`)
  trial.expect(await trial.append("b") === 201, "another stream takes no appends")
  // Smaller appends still fit.
  await trial.load(["b", "c", "d", "e"], random, 300)
  await server.kill()
  await server.start()
  trial.expect(await trial.append("a", 60_000) === 201, "without a limit it takes no appends")
  await trial.finish()
  return undefined
}

/** The file system finds an internal error and takes no more writes, as ext4 does with errors=remount-ro. */
export const readOnly: Case = async ({ random, trial }) => {
  const { server } = trial
  const disk = await LoopDisk.make(`${server.directory}.img`, server.directory, ["errors=remount-ro"])
  if (typeof disk === "string") return disk
  try {
    const start = { wrapper: disk.space.wrapper }
    await server.start(start)
    await trial.load(["a", "b", "c", "d"], random, 300)
    trial.follow("a")
    disk.breakDown()
    const statuses = [await trial.append("a"), await trial.append("made now")]
    trial.expect(statuses.every((status) => status === 503), `appends were answered with ${statuses.join(", ")}`)
    const told = await ask(server.port, "/streams/a", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":"x"}`
    })
    trial.expect(/read-only|the disk failed/.test(told?.text ?? ""), `a refusal says ${told?.text}`)
    for (const stream of ["a", "b"]) trial.expect(await trial.count(stream) !== undefined, `${stream} cannot be read`)
    await trial.health("failing")
    await server.kill()
    disk.unmount()
    disk.mount()
    await server.start(start)
    trial.expect(await trial.append("a") === 201, "when the disk is whole again, it takes no appends")
    trial.forget("made now")
    await trial.finish((path) => disk.space.outside(path))
  } finally {
    await server.kill()
    disk.close()
  }
  return undefined
}

/** A person removes the data directory. */
export const emptied: Case = async ({ random, trial }) => {
  const { server } = trial
  await server.start()
  await trial.load(["a", "b", "c"], random, 200)
  fs.rmSync(server.directory, { recursive: true, force: true })
  // The server looks for it ten times a second.
  await new Promise((resolve) => setTimeout(resolve, 300))
  for (const stream of ["a", "b", "c", "new"]) {
    for (const status of [await trial.append(stream), await trial.append(stream)]) {
      trial.expect(status === 500 || status === 503, `an append to ${stream} was answered with ${status}`)
    }
  }
  await trial.health("failing")
  trial.expect(!fs.existsSync(server.directory), "the server created the directory again")
  server.signal("SIGTERM")
  const code = await server.ended()
  trial.expect(code === 0 || code === 1, `it ended with ${code}`)
  await trial.end()
  return undefined
}

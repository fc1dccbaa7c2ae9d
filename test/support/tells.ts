/**
 * Loaded into a server under test (`--import`): at SIGUSR2 it collects all garbage, gives back the memory it can, and
 * writes down the memory that is left.
 */
import * as fs from "node:fs"
import * as v8 from "node:v8"
import { runInNewContext } from "node:vm"

v8.setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void

process.on("SIGUSR2", () => {
  collect({ type: "major", execution: "sync", flavor: "last-resort" })
  const { arrayBuffers, heapUsed, rss } = process.memoryUsage()
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length
  const path = process.env["CHAOS_TELLS"]!
  // The file appears whole: a process waits for it.
  fs.writeFileSync(`${path}.new`, JSON.stringify({ resident: rss, used: heapUsed + arrayBuffers, timers }))
  fs.renameSync(`${path}.new`, path)
})

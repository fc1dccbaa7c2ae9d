#!/usr/bin/env node
/**
 * What is started: looks whether this Node will do, lets go of what a background server must not hold, and has the program
 * compiled once for all its starts.
 */
import * as Module from "node:module"
import { closeInherited } from "./daemon/inherited-files.ts"

// What package.json says under `engines`: npm only warns, and an older Node would fail at something that names no cause.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`durable-streams needs Node 22.19 or later; this is ${process.versions.node}.\n`)
  process.exit(1)
}

// As daemon.ts starts it, and before anything is opened.
if (process.argv.slice(2, 5).join(" ") === "server run --daemon") closeInherited()

// A fifth of a command's time is compiling the program. Node keeps what it made in its own place under the temporary
// directory, or where NODE_COMPILE_CACHE says; where it cannot, it says nothing and compiles.
Module.enableCompileCache()

await import("./program.ts")

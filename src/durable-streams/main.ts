#!/usr/bin/env node
/**
 * The start of the program: checks the version of Node, closes the files that a background server must not hold, and has
 * the program compiled once for all its starts.
 */
import * as Module from "node:module"
import { closeInherited } from "./daemon/inherited-files.ts"

// As package.json has it under `engines`: npm only warns, and an older Node would fail without naming the cause.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`durable-streams needs Node 22.19 or later; this is ${process.versions.node}.\n`)
  process.exit(1)
}

// As daemon/server-child.ts starts it, and before anything is opened.
if (process.argv.slice(2, 5).join(" ") === "server run --daemon") closeInherited()

// A fifth of a command's time is compiling the program. Node keeps the result below the temporary directory, or in the
// directory that NODE_COMPILE_CACHE names; if it cannot, it says nothing and compiles.
Module.enableCompileCache()

await import("./program.ts")

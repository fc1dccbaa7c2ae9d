/**
 * Every backend keeps the promises of Storage.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, FileSystem, Layer } from "effect"
import * as Path from "node:path"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { forkSuite } from "./fork-suite.ts"
import { listSuite } from "./list-suite.ts"
import { suite } from "./storage-suite.ts"

/** A directory for logs that is removed with the layer. */
const layerTemporary = (durability: "fsync" | "os") =>
  Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "durable-streams-" })
    return layerFileSystem({ directory: Path.join(directory, "streams"), durability, openFilesMax: 8 })
  })).pipe(Layer.provide(NodeFileSystem.layer))

for (const run of [suite, forkSuite, listSuite]) {
  run("memory", layerMemory)
  run("files, flushed", layerTemporary("fsync"))
  run("files, left to the operating system", layerTemporary("os"))
}

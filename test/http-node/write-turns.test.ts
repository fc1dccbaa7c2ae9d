/**
 * Writes to followers in turns of the event loop.
 */
import { setImmediate as nextTurn } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import { WriteTurns } from "../../src/http-node/write-turns.ts"

const large = 32 * 1024 * 1024

describe("The writes of one turn", () => {
  it("go on until they have had their bytes; the others go in the next turns, in their order", async () => {
    const turns = new WriteTurns()
    const written: Array<number> = []
    const write = (follower: number) => () => {
      if (turns.isOver) return turns.wait(write(follower))
      written.push(follower)
      turns.add(large / 2)
    }
    for (let follower = 0; follower < 5; follower++) write(follower)()
    assert.deepStrictEqual(written, [0, 1])
    await nextTurn()
    assert.deepStrictEqual(written, [0, 1, 2, 3])
    await nextTurn()
    assert.deepStrictEqual(written, [0, 1, 2, 3, 4])
  })

  it("leave out a follower that has left", async () => {
    const turns = new WriteTurns()
    turns.add(large)
    const written: Array<string> = []
    const leaving = () => void written.push("left")
    turns.wait(leaving)
    turns.wait(() => void written.push("stayed"))
    turns.leave(leaving)
    await nextTurn()
    assert.deepStrictEqual(written, ["stayed"])
    assert.isFalse(turns.isOver)
  })
})

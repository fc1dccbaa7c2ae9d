/**
 * Work that waits until everything that has arrived in this turn of the event loop was taken in: appends then share a
 * commit, and answers are written one behind the other. Whoever waits for answers in another process is woken by the
 * first of them; woken for each, that costs the server more than the rest of the append (docs/perf/append.md).
 */

let waiting: Array<() => void> = []

/** Runs `work`, which must not throw, when this turn has taken in what there is; in the order of asking. */
export const atEndOfTurn = (work: () => void): void => {
  if (waiting.push(work) === 1) setImmediate(runAll)
}

const runAll = (): void => {
  const taken = waiting
  waiting = []
  for (const work of taken) work()
}

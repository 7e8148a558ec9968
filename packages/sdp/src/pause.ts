// Gives the event loop one turn, without the milliseconds that timers cost.

/** Resolves after messages, timers and input that wait have had their turn. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else {
      const { port1, port2 } = new MessageChannel();
      // the types of Node's ports lack the property that ports have everywhere
      (port1 as { onmessage?: () => void }).onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    }
  });
}

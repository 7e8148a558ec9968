// Registers the gradients of all TensorFlow.js operations. tfjs-core alone does not ("gradient function not found
// for Conv2D"), and its module cannot be imported from native ESM, so the build bundles it here. The registry is
// global to the process. Loaded lazily: nothing happens before the first useBackend.

let registered: Promise<unknown> | undefined;

/** Makes every TensorFlow.js operation differentiable. Idempotent. */
export async function registerGradients(): Promise<void> {
  registered ??= import("@tensorflow/tfjs-core/dist/register_all_gradients");
  await registered;
}

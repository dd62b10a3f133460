/** Runs the work for each element, so many at a time; stops beginning further ones once one has thrown. */
export async function inParallel<T>(
  elements: readonly T[],
  limit: number,
  work: (element: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < elements.length) {
      const element = elements[next] as T;
      next += 1;
      await work(element);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, elements.length) }, worker));
}

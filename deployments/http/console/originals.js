/** Files sent with jobs, kept in this browser: after a reload, results still appear beside their originals. */

const DATABASE = "sensorium";
const STORE = "originals";
const MAX_KEPT = 12;

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "job" }).createIndex("at", "at");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Keep a file, and drop all but the last few.
 * A browser that has no room, or stores nothing in a private window, keeps none.
 * @param {string} job
 * @param {File} file
 */
export async function keepOriginal(job, file) {
  try {
    const database = await open();
    const store = database.transaction(STORE, "readwrite").objectStore(STORE);
    store.put({ job, file, at: Date.now() });
    store.index("at").getAllKeys().onsuccess = (event) => {
      const keys = /** @type {IDBRequest<IDBValidKey[]>} */ (event.target).result;
      for (const key of keys.slice(0, -MAX_KEPT)) store.delete(key);
    };
    await new Promise((resolve) => {
      store.transaction.oncomplete = resolve;
      store.transaction.onabort = resolve;
    });
    database.close();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/**
 * @param {string} job
 * @returns {Promise<File | null>} null if it was sent from elsewhere or is no longer kept
 */
export async function originalOf(job) {
  try {
    const database = await open();
    const request = database.transaction(STORE).objectStore(STORE).get(job);
    const found = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    database.close();
    return found?.file ?? null;
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

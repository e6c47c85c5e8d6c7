// From a file or a playing video to the picture that is sent.

const LARGEST_BYTES = 3 * 2 ** 20;
const LONGEST_SIDE = 1920;
const QUALITY = 0.9;

export const isVideo = (file) => file.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi)$/i.test(file.name ?? "");

/** The file itself, or, where it is large and the browser can read it, a smaller JPEG: what a phone takes is large. */
export async function sendable(file) {
  if (file.size <= LARGEST_BYTES) return file;
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const jpeg = await jpegOf(picture, picture.width, picture.height);
  picture.close();
  return jpeg;
}

/** The frame that a video shows. */
export function frameOf(video) {
  return jpegOf(video, video.videoWidth, video.videoHeight);
}

function jpegOf(drawable, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(drawable, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no frame"))), "image/jpeg", QUALITY);
  });
}

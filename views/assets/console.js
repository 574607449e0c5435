// Copies ids, and sends a form once. Without this script the ids can be selected, and the server sees a second sending.

for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = false
  button.addEventListener('click', async () => {
    const said = button.nextElementSibling
    try {
      await navigator.clipboard.writeText(button.dataset.copy)
      said.textContent = 'Copied'
    } catch {
      said.textContent = 'Not copied'
    }
    setTimeout(() => {
      said.textContent = ''
    }, 2_000)
  })
}

for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener('submit', () => {
    // After the submission has read which button it was.
    setTimeout(() => {
      for (const button of form.querySelectorAll('button')) button.disabled = true
    })
  })
}

// A page that comes back from the browser's history has its buttons again.
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return
  for (const button of document.querySelectorAll('button:disabled')) button.disabled = false
})

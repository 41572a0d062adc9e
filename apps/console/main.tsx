import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiProblem } from './api/problem.ts'
import { resume } from './api/sign-in.ts'
import { router } from './router.tsx'
import './style.css'

/** Retries only missing responses and server errors; a refusal would be repeated. */
const worthAnotherTry = (error: unknown): boolean =>
  !(error instanceof ApiProblem) || error.status === 0 || error.status >= 500

const client = new QueryClient({
  defaultOptions: {
    queries: { staleTime: 2000, retry: (failures, error) => failures < 2 && worthAnotherTry(error) },
  },
})

const place = document.getElementById('root')
if (!place) throw new Error('index.html has no #root')
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
void resume()
